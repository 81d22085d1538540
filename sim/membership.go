package sim

import (
	"fmt"
	"slices"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/core/confchange"
	"github.com/seaworthy-raft/seaworthy/core/progress"
)

// What must hold of members. The checker reads every configuration out of the
// log by itself and keeps, for each replica, those that its log holds: so it
// knows which one counts there, and which counts again when the log is cut.
// Every other check that asks for a majority asks for one of these.

// configurationBook is every configuration that ever stood in a log. The first
// two stood in none: the founding one, and that of a replica that was told of
// nobody yet.
type configurationBook []writtenConfiguration

type writtenConfiguration struct {
	id   core.EntryID // zero: of no entry
	conf core.Configuration
	// members are those that it has, and ever those that it or any before it in
	// its log had, as bits by position.
	members, ever uint64
}

const (
	pageFounding = iota
	pageNobody
)

// find is the page of the configuration in an entry; zero: it is not there.
func (b configurationBook) find(id core.EntryID) int32 {
	for p := len(b) - 1; p > pageNobody; p-- {
		if b[p].id == id {
			return int32(p)
		}
	}
	return 0
}

// positions are the members of conf, as bits by position.
func (c *checker) positions(conf *core.Configuration) (set uint64) {
	conf.Each(func(id core.ReplicaID) {
		if k := c.position(id); k >= 0 {
			set |= 1 << k
		}
	})
	return set
}

// page is that of the configuration that counts at replica i, as of the last
// look.
func (c *checker) page(i int) *writtenConfiguration {
	pages := c.replicas[i].pages
	return &c.configurations[pages[len(pages)-1]]
}

// configuration is the one that counts at replica i, as of the last look.
func (c *checker) configuration(i int) *core.Configuration { return &c.page(i).conf }

// firstPage is what counts at replica i when its log begins behind base.
func (c *checker) firstPage(i int, base core.Index) int32 {
	switch {
	case base > 0:
		return c.committedPage(base)
	case c.configurations[pageFounding].members>>i&1 != 0 && !c.replicas[i].nobody:
		return pageFounding
	}
	return pageNobody
}

// committedPage is that of the configuration which everybody who has committed
// the log up to j has.
func (c *checker) committedPage(j core.Index) int32 {
	n := len(c.committedPages) - 1
	for n > 0 && c.configurations[c.committedPages[n]].id.Index > j {
		n--
	}
	return c.committedPages[n]
}

// keepPages has replica i forget the configurations of a log that is as it was
// up to kept only, and begins behind base.
func (c *checker) keepPages(i int, base, kept core.Index) {
	r := &c.replicas[i]
	n := len(r.pages)
	if kept < base {
		c.lookout.configurationsReplaced(c, i, base)
		r.pages = append(r.pages[:0], c.firstPage(i, base))
	} else {
		for n > 1 && c.configurations[r.pages[n-1]].id.Index > kept {
			n--
		}
		if n == len(r.pages) {
			return
		}
		c.lookout.mark(MarkConfigurationTruncated)
		r.pages = r.pages[:n]
	}
	r.turned = true
}

// readConfiguration: the log of replica i has the configuration e, which is
// new there.
func (c *checker) readConfiguration(i int, st *core.Status, id core.EntryID) {
	r := &c.replicas[i]
	p := c.configurations.find(id)
	if p == 0 {
		e, _ := r.core.Entry(id.Index)
		conf, err := confchange.Decode(e.Data)
		if err != nil {
			c.fail(i, PropertyOneStep, "entry %v is no configuration: %v", id, err)
			return
		}
		before := c.page(i)
		next := writtenConfiguration{id: id, conf: conf, members: c.positions(&conf)}
		next.ever = before.ever | next.members
		if c.checkOneStep(i, st, before, &next); c.broken {
			return
		}
		c.lookout.configurationAppended(c, i, st, before, &next)
		p = int32(len(c.configurations))
		c.configurations = append(c.configurations, next)
	}
	r.pages = append(r.pages, p)
	r.following |= c.configurations[p].members
	r.turned = true
	c.lookout.configurationHeld(c, i, st)
}

// checkOneStep: each configuration is one allowed step from the one before it
// in its log: one voter more or less, or into a joint configuration whose
// outgoing half decided alone before, or out of one; and the leader of its term
// appends it, when it has committed an entry of its own term and the
// configuration before (dissertation §4.1, §4.3). Without the latter two
// leaders could each take a step from the same configuration, and decide apart.
func (c *checker) checkOneStep(i int, st *core.Status, before, next *writtenConfiguration) {
	if leader := c.terms.at(next.id.Term).leader; leader != uint8(i+1) {
		c.fail(i, PropertyOneStep, "its log has the configuration %v, which the leader of that term has not", next.id)
		return
	}
	if why := notOneStep(&before.conf, &next.conf); why != "" {
		c.fail(i, PropertyOneStep, "configuration %v is no step from %v: %s: %s, then %s",
			next.id, before.id, why, members(&before.conf), members(&next.conf))
		return
	}
	if c.checkIdsNeverReturn(i, before, next); c.broken {
		return
	}
	if st.Role != core.RoleLeader || st.Term != next.id.Term {
		return // it is seen for the first time after its leader went down or stepped down, and may know less now
	}
	opened := min(st.Commit, next.id.Index-1)
	if term, _, ok := c.replicas[i].core.Position(opened); ok && term != next.id.Term {
		c.fail(i, PropertyOneStep, "it appended the configuration %v; committed it has up to %d, which is of term %d",
			next.id, opened, term)
		return
	}
	if before.id.Index > st.Commit {
		c.fail(i, PropertyOneStep, "it appended the configuration %v behind %v, which is not committed: that is %d",
			next.id, before.id, st.Commit)
	}
}

// checkIdsNeverReturn: who was a member once and is none any more is none for
// ever, so that a new member never has the data, or the votes, of an old one.
func (c *checker) checkIdsNeverReturn(i int, before, next *writtenConfiguration) {
	if again := next.members &^ before.members & before.ever; again != 0 || next.conf.HighestID() < before.conf.HighestID() {
		c.fail(i, PropertyIdsNeverReturn, "configuration %v has the members %s, highest id %d; before it were %s, highest id %d; these had been removed: %#b",
			next.id, members(&next.conf), next.conf.HighestID(), members(&before.conf), before.conf.HighestID(), again)
	}
}

// notOneStep says what is wrong with a step, or nothing.
func notOneStep(from, to *core.Configuration) string {
	switch {
	case len(to.Voters) == 0:
		return "nobody votes"
	case len(shared(to.Voters, to.Learners)) > 0:
		return "a learner votes"
	case from.IsJoint() && to.IsJoint():
		return "joint after joint"
	case from.IsJoint() && (!slices.Equal(to.Voters, from.Voters) || !slices.Equal(to.Learners, from.Learners)):
		return "it leaves a joint configuration for another than its incoming half"
	case to.IsJoint() && !slices.Equal(to.Outgoing, from.Voters):
		return "its outgoing half did not decide before"
	case !from.IsJoint() && !to.IsJoint() && len(without(from.Voters, to.Voters))+len(without(to.Voters, from.Voters)) > 1:
		return "more than one voter comes or goes"
	}
	for _, id := range without(to.Voters, from.Voters) {
		if !from.Promotes(id) {
			return "a voter comes that was no learner to be promoted"
		}
	}
	return ""
}

// without are those of a that are not in b.
func without(a, b []core.ReplicaID) (rest []core.ReplicaID) {
	for _, id := range a {
		if !holds(b, id) {
			rest = append(rest, id)
		}
	}
	return rest
}

// shared are those of a that are in b.
func shared(a, b []core.ReplicaID) (both []core.ReplicaID) {
	for _, id := range a {
		if holds(b, id) {
			both = append(both, id)
		}
	}
	return both
}

// sameConfiguration compares all but the addresses.
func sameConfiguration(a, b *core.Configuration) bool {
	return a.Index == b.Index && slices.Equal(a.Voters, b.Voters) && slices.Equal(a.Outgoing, b.Outgoing) &&
		slices.Equal(a.Learners, b.Learners) && slices.Equal(a.Planned, b.Planned) && a.HighestID() == b.HighestID() &&
		slices.Equal(a.Members, b.Members)
}

// checkConfiguration: the configuration of a replica is exactly that of the
// last configuration in its log, committed or not, and of its snapshot if there
// is none, whatever was truncated, restarted or installed before (dissertation
// §4.1).
func (c *checker) checkConfiguration(i int) {
	if got, want := c.replicas[i].core.Configuration(), c.configuration(i); !sameConfiguration(&got, want) {
		c.fail(i, PropertyConfiguration, "its configuration is %s; the last one in its log is %s", members(&got), members(want))
	}
}

// quorum says whether a majority of the voters of conf say yes; of a joint
// configuration, a majority of each half (dissertation §4.3).
func quorum(conf *core.Configuration, yes func(id core.ReplicaID) bool) bool {
	return majority(conf.Voters, yes) && (!conf.IsJoint() || majority(conf.Outgoing, yes))
}

func majority(voters []core.ReplicaID, yes func(id core.ReplicaID) bool) bool {
	n := 0
	for _, id := range voters {
		if yes(id) {
			n++
		}
	}
	return 2*n > len(voters)
}

// checkElected: who leads a term was promised the votes of a quorum, in the
// configuration that counted when it was elected (dissertation §3.4, §4.1).
func (c *checker) checkElected(i int, st *core.Status) {
	page := c.electedBy(i, st.Term)
	if quorum(&page.conf, func(id core.ReplicaID) bool { return c.votedFor(id, st.Term, i) }) {
		return
	}
	var voted []core.ReplicaID
	for k := range c.replicas {
		if c.votedFor(c.replicas[k].id, st.Term, i) {
			voted = append(voted, c.replicas[k].id)
		}
	}
	c.fail(i, PropertyElected, "it leads term %d; of %s only %v voted for it", st.Term, members(&page.conf), voted)
}

// electedBy is the page of the configuration that counted at replica i when it
// was elected in term: those behind it are its own.
func (c *checker) electedBy(i int, term core.Term) *writtenConfiguration {
	pages := c.replicas[i].pages
	n := len(pages) - 1
	for n > 0 && c.configurations[pages[n]].id.Term >= term {
		n--
	}
	return &c.configurations[pages[n]]
}

// votedFor says whether a replica has told replica i that it votes for it, and
// replica i itself, who tells nobody, whether its disk says so.
func (c *checker) votedFor(id core.ReplicaID, term core.Term, i int) bool {
	k := c.position(id)
	if k < 0 {
		return false
	}
	v := &c.replicas[k]
	if term < core.Term(len(v.votes)) && v.votes[term] == uint8(i+1) {
		return true
	}
	d := v.disk.Durable().HardState
	return k == i && d.Term == term && d.Vote == id
}

// checkStands: only a voter stands for election: one in the configuration that
// counts, or in an earlier one as long as it does not know that a later one is
// committed (dissertation §4.2.2). So no learner leads, and nobody who knows of
// its removal.
func (c *checker) checkStands(i int, st *core.Status) {
	c.fail(i, PropertyVotersLead, "it is a %v in term %d, and no voter of %s, nor of any that may count again (committed is %d)",
		st.Role, st.Term, members(c.configuration(i)), st.Commit)
}

// mayStand says whether replica i votes, or is to be promoted, in any
// configuration of its log from the one on that it knows to be committed.
func (c *checker) mayStand(i int, commit core.Index) bool {
	pages := c.replicas[i].pages
	for n := len(pages) - 1; n >= 0; n-- {
		page := &c.configurations[pages[n]]
		if id := c.replicas[i].id; page.conf.Votes(id) || page.conf.Promotes(id) {
			return true
		}
		if page.id.Index <= commit {
			return false
		}
	}
	return false
}

// checkPeers: a leader follows members, those who were in its time, and itself;
// nobody becomes one by sending a message.
func (c *checker) checkPeers(i int) {
	r := &c.replicas[i]
	r.suspect = false
	c.peersOf, c.stranger = i, 0
	r.core.Peers(c.peerLook)
	if c.stranger != 0 {
		c.fail(i, PropertyMembersOnly, "it follows replica %d, which was no member since it leads term %d: %s",
			c.stranger, r.st.Term, members(c.configuration(i)))
	}
}

// lookAtPeer is what checkPeers does with each.
func (c *checker) lookAtPeer(p *progress.Progress) {
	if k := c.position(p.ID); k != c.peersOf && (k < 0 || c.replicas[c.peersOf].following>>k&1 == 0) {
		c.stranger = p.ID
	}
}

// checkMember: a leader replicates to members only, and to those who were
// members in its time.
func (c *checker) checkMember(i int, m *core.Message) bool {
	if k := c.position(m.To); k >= 0 && c.replicas[i].following>>k&1 != 0 {
		return true
	}
	c.fail(i, PropertyMembersOnly, "it sends %s to replica %d, which was no member since it leads term %d: %s",
		m.Kind, m.To, m.Term, members(c.configuration(i)))
	return false
}

// checkSnapshotConfiguration: a snapshot has the configuration that counted at
// its index, and not what came later, or only a part of it.
func (c *checker) checkSnapshotConfiguration(i int, s *core.Snapshot, verb string) bool {
	if want := &c.configurations[c.committedPage(s.Index)].conf; !sameConfiguration(&s.Configuration, want) {
		c.fail(i, PropertySnapshotMembers, "it %s a snapshot of %v with %s; what counted there is %s",
			verb, s.EntryID, members(&s.Configuration), members(want))
		return false
	}
	return true
}

// onMembers: replica i tells its host which configuration counts.
func (c *checker) onMembers(i int, conf *core.Configuration) {
	if c.broken || c.replicas[i].core == nil {
		return
	}
	if got := c.replicas[i].core.Configuration(); !sameConfiguration(&got, conf) {
		c.fail(i, PropertyConfiguration, "it tells its host of %s; its configuration is %s", members(conf), members(&got))
	}
}

// onEvent: what a replica tells an operator is so: who was promoted votes in a
// configuration that is committed, and who was removed is in none any more.
func (c *checker) onEvent(i int, e core.Event) {
	if c.broken || c.replicas[i].core == nil {
		return
	}
	r := &c.replicas[i]
	switch e.Kind {
	case core.EventPromoted, core.EventRemoved:
		if c.look(i); c.broken { // committed in this very event
			return
		}
		if conf := &c.configurations[c.committedPage(r.st.Commit)].conf; e.Kind == core.EventRemoved && conf.Has(e.Replica) ||
			e.Kind == core.EventPromoted && !c.promoted(e.Replica, r.st.Commit) {
			c.fail(i, PropertyTrueEvents, "it says that replica %d is %v; committed up to %d is %s",
				e.Replica, e.Kind, r.st.Commit, members(conf))
			return
		}
	case core.EventHandoverAborted:
		r.aborted = true
	}
	c.lookout.event(c, i, e)
}

// promoted says whether a configuration committed up to j made a voter of the
// learner id.
func (c *checker) promoted(id core.ReplicaID, j core.Index) bool {
	for n := 1; n < len(c.committedPages); n++ {
		before, page := &c.configurations[c.committedPages[n-1]], &c.configurations[c.committedPages[n]]
		if page.id.Index <= j && holds(before.conf.Learners, id) && holds(page.conf.Voters, id) {
			return true
		}
	}
	return false
}

// lookAtHandover: a leader that hands over takes no proposals, and has given up
// when an election timeout has passed by its own clock (dissertation §3.10).
func (c *checker) lookAtHandover(i int, st *core.Status) {
	r := &c.replicas[i]
	if st.Role != core.RoleLeader || st.Successor == 0 {
		r.aborted = false
		return
	}
	if r.aborted || r.st.Successor != st.Successor || r.st.Role != core.RoleLeader || r.st.Term != st.Term {
		r.aborted = false
		r.handoverFrom = st.Clock
		c.lookout.handover(c, i, st)
		return
	}
	for j := r.st.Last.Index + 1; j <= st.Last.Index; j++ {
		if e, _ := r.core.Entry(j); e.Kind == core.EntryCommand {
			c.fail(i, PropertyHandover, "it hands over to replica %d, and has taken the proposal %v", st.Successor, e.EntryID)
			return
		}
	}
}

// checkHandoverEnds: it is not asked in the midst of an event, in which one
// handover may end and the next one begin.
func (c *checker) checkHandoverEnds(i int) {
	r := &c.replicas[i]
	if r.st.Role != core.RoleLeader || r.st.Successor == 0 {
		return
	}
	if ticks := r.st.Clock - r.handoverFrom; ticks >= uint64(c.view.electionTicks()) {
		c.fail(i, PropertyHandover, "it hands over to replica %d for %d ticks; an election timeout is %d",
			r.st.Successor, ticks, c.view.electionTicks())
	}
}

// members is a configuration in a line, for a message.
func members(conf *core.Configuration) string {
	s := fmt.Sprintf("configuration %d: voters %v", conf.Index, conf.Voters)
	if conf.IsJoint() {
		s += fmt.Sprintf(", outgoing %v", conf.Outgoing)
	}
	if len(conf.Learners) > 0 {
		s += fmt.Sprintf(", learners %v", conf.Learners)
	}
	if len(conf.Planned) > 0 {
		s += fmt.Sprintf(", planned %v", conf.Planned)
	}
	return s
}
