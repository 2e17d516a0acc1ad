package volume

var seen int

func init() { seen++ }
