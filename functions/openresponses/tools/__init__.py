"""The tools that come as files: one tool each, and nothing else. `toolbox.files` says how to write one."""
