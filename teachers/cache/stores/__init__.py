"""Where objects are kept: one file per kind of store; the contract is `teachers.cache.store`."""
