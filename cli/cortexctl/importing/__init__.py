"""Import of concepts with their relationships from JSON lines: checked first, exactly once, resumable.

The modules, in the order of their work: `source` opens, `lines` checks and makes batches, `journal`
remembers, `sending` delivers, `display` shows.
"""

from cortexctl.importing.run import Checked, check, import_file
from cortexctl.importing.sending import Summary

__all__ = ["Checked", "Summary", "check", "import_file"]
