"""The levels: each module makes the cases of one."""
