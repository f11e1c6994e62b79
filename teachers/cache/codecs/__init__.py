"""How labels become columns: one file per representation; the contract is `teachers.cache.codec`."""
