"""How the page on one case looks: on a screen, and on paper, where all of it goes on one side of A4."""

from __future__ import annotations

STYLE = """
@page{size:A4;margin:8mm}*{box-sizing:border-box}
body{font:13px/1.35 system-ui,sans-serif;color:#1b1f23;background:#fff}
body{max-width:980px;margin:0 auto;padding:10px}
h1{font-size:21px;margin:6px 0 0;overflow-wrap:anywhere}
h2{font-size:14px;margin:8px 0 2px;border-bottom:1px solid #d0d7de;overflow-wrap:anywhere}
p{margin:2px 0}.found{font-size:15px;font-weight:600}
.notice{background:#7d1a1a;color:#fff;padding:3px 10px;font-weight:600;text-align:center}
.small{color:#57606a;font-size:11.5px;overflow-wrap:anywhere}
.told{border-left:4px solid #b35900;background:#fff6e5;padding:2px 10px;margin:4px 0}
.told ul{margin:0;padding-left:16px}
.two{display:flex;gap:14px;align-items:flex-start}.two>*{flex:1 1 0;min-width:0}
.two>.wider{flex-grow:1.25}.two h2:first-child{margin-top:0}
table{border-collapse:collapse;margin:3px 0;font-size:12px;width:100%}
th,td{padding:1px 5px;text-align:right;border-bottom:1px solid #e4e8ec}
th{background:#f3f5f7;vertical-align:bottom}
th:first-child,td:first-child{text-align:left}
img{max-width:100%;height:auto;display:block}.swatch{vertical-align:-1px}
.row{display:flex;flex-wrap:wrap;gap:10px}.row>svg{flex:1 1 0;min-width:140px;max-width:300px;height:auto}
.row.fixed>svg{flex:0 1 auto}
@media print{
body{max-width:none;padding:0;font-size:7.6pt;line-height:1.25}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
h1{font-size:12pt;margin:2px 0 0}h2{font-size:8.6pt;margin-top:4px;break-after:avoid}.found{font-size:9pt}
table{font-size:7.2pt;margin:1px 0}th,td{padding:0 4px}.small,.run-in{font-size:6.8pt;line-height:1.2}
p{margin:1px 0}.notice{padding:1px 10px}tr,svg,img,.told{break-inside:avoid}
.two>.wider{flex-grow:1.1}.two>.picture{flex:0 0 78mm}.two>.fit{flex:0 0 auto}
img{max-height:66mm;width:auto}.row>svg{min-width:0}.row.fixed>svg{max-height:30mm;width:auto}
.told ul{padding:0}.told ul,.told li,.told strong,.run-in p{display:inline}
.told li::after{content:"; "}.told li:last-child::after{content:"."}.told strong::after{content:": "}
}
""".strip()
