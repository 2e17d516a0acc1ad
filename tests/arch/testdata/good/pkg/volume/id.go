package volume

import (
	_ "errors"
)
