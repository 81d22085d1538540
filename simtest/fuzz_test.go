package simtest_test

import (
	"testing"

	"github.com/seaworthy-raft/seaworthy/simtest"
)

func FuzzSchedule(f *testing.F) { simtest.FuzzSchedule(f, simtest.Config{}) }
