package export

import "io"

// Image is what is exported. Safe for concurrent use. A write is durable when
// it returns, at the latest when a Flush that began after it has returned.
type Image interface {
	io.ReaderAt
	io.WriterAt
	// Flush makes all writes that have returned durable.
	Flush() error
	// Zero makes a range read as zeros, and gives its space back.
	Zero(offset, length int64) error
	// Size returns the image's size as it is now.
	Size() (int64, error)
}
