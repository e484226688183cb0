"use strict";
(() => {
  const table = document.getElementById("cases");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const flags = Array.from(document.querySelectorAll("button.flag"));
  const [text, region, low, high] = ["text", "region", "low", "high"].map((id) => document.getElementById(id));

  const key = (row, column) => row.cells[column].dataset.key;

  function isShown(row, words, wanted) {
    if (!row.dataset.text.toLowerCase().includes(words)) return false;
    const raised = row.dataset.flags.split("|");
    if (wanted.length && !wanted.some((flag) => raised.includes(flag))) return false;
    if (!low?.value && !high?.value) return true;
    const size = key(row, Number(region.value));
    if (size === "") return false;
    return (!low.value || Number(size) >= Number(low.value)) && (!high.value || Number(size) <= Number(high.value));
  }

  function filter() {
    const words = text.value.trim().toLowerCase();
    const wanted = flags.filter((one) => one.getAttribute("aria-pressed") === "true").map((one) => one.dataset.flag);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !isShown(row, words, wanted);
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${rows.length} shown`;
  }

  // cases without a value come last in either order
  function compare(a, b, isNumber, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    return sign * (isNumber ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
  }

  function sort(head, column) {
    const isNumber = head.dataset.kind === "number";
    const now = head.getAttribute("aria-sort");
    const order = now ? (now === "ascending" ? "descending" : "ascending") : isNumber ? "descending" : "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => compare(key(a, column), key(b, column), isNumber, sign));
    body.append(...rows);
  }

  heads.forEach((head, column) => {
    head.querySelector("button")?.addEventListener("click", () => sort(head, column));
  });
  for (const flag of flags) {
    flag.addEventListener("click", () => {
      flag.setAttribute("aria-pressed", String(flag.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  for (const field of [text, region, low, high]) field?.addEventListener("input", filter);
  // a browser would load and decode every picture of the page at once
  const pictures = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        target.src = target.dataset.src;
        pictures.unobserve(target);
      }
    },
    { rootMargin: "600px" },
  );
  for (const picture of body.querySelectorAll("img")) pictures.observe(picture);

  document.getElementById("controls").hidden = false;
  filter();
})();
