"""State that outlives a window: journals of edits for crash recovery, and worklists of cases."""

from napari_tumorseg.session.case_status import State
from napari_tumorseg.session.edit_counts import EditCounts
from napari_tumorseg.session.journal import Journal
from napari_tumorseg.session.order import Order
from napari_tumorseg.session.recent import LastWorklist, last_worklist, note_worklist
from napari_tumorseg.session.records import fingerprint
from napari_tumorseg.session.recovery import Recovered, Unfinished, attached, discard, recover, unfinished
from napari_tumorseg.session.user_folder import journal_folder, state_folder
from napari_tumorseg.session.worklist import STATE_FILE, Entry, Worklist

__all__ = [
    "STATE_FILE",
    "EditCounts",
    "Entry",
    "Journal",
    "LastWorklist",
    "Order",
    "Recovered",
    "State",
    "Unfinished",
    "Worklist",
    "attached",
    "discard",
    "fingerprint",
    "journal_folder",
    "last_worklist",
    "note_worklist",
    "recover",
    "state_folder",
    "unfinished",
]
