package volume

// Todo lists are fine. TODO: this is not.
const a = "TODO"

/* FIXME */
