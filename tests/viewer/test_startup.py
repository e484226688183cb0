from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from npe2 import PluginManager
manager = PluginManager.instance()
manager.discover()
assert manager.get_manifest("napari-tumorseg")
# napari asks every reader about every file that is opened, and builds its menus
assert [r.command for r in manager.iter_compatible_readers(["scan.nii.gz"])]
from npe2 import io_utils
manager.commands.execute("napari-tumorseg.get_reader", kwargs={"path": "picture.xyz"})
import napari
heavy = [name for name in ("torch", "nibabel", "h5py", "scipy", "skimage", "pandas") if name in sys.modules]
print(",".join(heavy))
"""


def test_napari_starts_without_torch_and_nibabel():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    heavy = set(done.stdout.strip().split(",")) - {""}
    assert not heavy & {"torch", "nibabel", "h5py"}, heavy
