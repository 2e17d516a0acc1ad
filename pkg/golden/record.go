package golden

import "github.com/sdp-csi/sdp-csi/pkg/record"

// recordPrefix begins the names of goldens' records. A golden's record and
// its image share a name (volume.GoldenRef.Image).
const recordPrefix = "golden."

// goldenRecord is the truth about a golden. It comes before the image and, as a
// tombstone, stays after it.
type goldenRecord = record.Golden
