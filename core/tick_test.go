package core

import "testing"

// A handover that begins in a step of several ticks has all its time before it:
// those ticks passed before.
func TestHandoverIsNotAsOldAsTheStepItBeginsIn(t *testing.T) {
	c := newTestCluster(t, 3)
	l := c.elect()
	r := c.replicas[l]
	r.auto = false
	c.propose(l, 1)
	r.stalledTicks = r.stallTicks() - 8
	c.tick(l, 6)
	c.deliver()
	c.tick(l, 6)
	if !r.handover.active() || r.stalledTicks != r.stallTicks()+4 || r.handover.elapsedTicks != 0 {
		t.Errorf("after %d ticks without a disk, %d of the handover have passed: %+v", r.stalledTicks, r.handover.elapsedTicks, r.Status())
	}
}
