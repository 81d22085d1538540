package simtest

import (
	"fmt"
	"sync"

	"github.com/seaworthy-raft/seaworthy/campaign"
	"github.com/seaworthy-raft/seaworthy/sim"
)

// tally gathers the failures of one test, whose subtests run in parallel.
type tally struct {
	most int // failures after which no more seeds are begun

	mu     sync.Mutex
	failed []*campaign.Outcome
	shown  map[string]bool // properties, told in full
}

func newTally(most int) *tally {
	if most == 0 {
		most = campaign.FailuresMax
	}
	return &tally{most: most, shown: map[string]bool{}}
}

// full says how many seeds have failed, if that is enough.
func (y *tally) full() (failed int, ok bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.failed), len(y.failed) >= y.most
}

// add takes a failure, and returns what its subtest has to say of it.
func (y *tally) add(out *campaign.Outcome) string {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.failed = append(y.failed, out)
	if out.Verdict == sim.Misuse.String() {
		y.most = 1 // no other seed would do better
	}
	kind := out.Verdict + " " + out.Property()
	if y.shown[kind] {
		return out.BriefText(campaign.Style{}) + "  " + out.Repeat()
	}
	y.shown[kind] = true
	return failureText(out)
}

// text sums up, if more than one seed has failed.
func (y *tally) text() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.failed) < 2 {
		return ""
	}
	stopped := ""
	if len(y.failed) >= y.most {
		stopped = ", and no more were begun"
	}
	return fmt.Sprintf("%d seeds failed%s; by property, each with what repeats its first seed\n%s",
		len(y.failed), stopped, campaign.GroupsText(campaign.Groups(y.failed), campaign.Style{}))
}
