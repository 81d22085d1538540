//go:build !unix && !windows

package campaign

import "time"

// cpuTime is not known here; a summary then says 0.
func cpuTime() time.Duration { return 0 }
