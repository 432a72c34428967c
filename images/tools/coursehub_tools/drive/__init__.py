"""Students' homes in Google Drive: exported, proven and brought back, one student after the other."""
