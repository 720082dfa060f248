"""Reading: how blocking I/O runs, off every mailbox and every event loop, with a deadline per job."""
