package campaign

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/seaworthy-raft/seaworthy/core"
	"github.com/seaworthy-raft/seaworthy/sim"
)

const (
	// jobsMax is how many workers make sense: more could not all have a seed of
	// the window.
	jobsMax = windowSeeds

	// openEndedSeeds is how many seeds there have to be from the first one on for
	// a campaign that has no number: more than anyone has time for.
	openEndedSeeds = 1 << 40

	// windowSeeds bounds how many seeds may be finished or under way beyond the
	// first that is not: the memory of a campaign, whatever its length.
	windowSeeds = 1024

	// FailuresMax is after how many failing seeds a campaign stops if its
	// options do not say.
	FailuresMax = 10

	// graceInterrupted is how long an interrupted campaign waits for the seeds
	// under way.
	graceInterrupted = 2 * time.Second

	progressInterval = 200 * time.Millisecond
)

// Options says what a campaign is to do. With neither Seeds nor For it goes on
// until it is interrupted or enough seeds have failed.
type Options struct {
	// Base is the first seed; the others follow it one by one.
	Base uint64
	// Seeds is how many to run; 0 is no bound.
	Seeds uint64
	// For is for how long to start seeds; 0 is no bound.
	For time.Duration
	// Jobs is the number of workers; 0 is one per core that Go may use.
	Jobs int
	// FailuresMax is after how many failing seeds to stop; 0 is FailuresMax.
	FailuresMax int
	// Focus are the feature letters that every scenario must have on; "" leaves
	// them to the seed.
	Focus string
	// Scenario, if not nil, is what every seed runs, instead of one that it draws.
	Scenario *sim.Scenario
	// Workload drives a state machine other than kv; nil is kv.
	Workload func() sim.Workload
	// Disk makes the replicas' disks (see sim.Options); nil is the
	// simulator's.
	Disk func(core.Configuration) sim.Disk
	// Dir is where failing seeds leave their folders; "" is nowhere.
	Dir string

	// Command makes the command that repeats a seed, where it is not simrun's:
	// in a test, or for another state machine. It may be nil.
	Command func(seed uint64) string

	// Each sees every outcome, in the order of the seeds, if it is not nil. It
	// is called on the goroutine of Run.
	Each func(*Outcome)
	// Progress is called a few times a second if it is not nil, likewise.
	Progress func(*Summary)

	// simulate stands in for sim.Run in the tests of this package, and create for
	// a real disk.
	simulate func(*sim.Options) *sim.Result
	create   func(name string) (io.WriteCloser, error)
}

// Default is the campaign of someone who did not say what they want: one that
// ends within half a minute, failing seeds and all.
func Default(dir string) Options {
	return Options{Base: 1, For: 25 * time.Second, Dir: dir}
}

// String says what is about to happen.
func (o *Options) String() string {
	d := *o
	d.setDefaults()
	what := "seeds"
	if d.Seeds > 0 {
		what = counted(d.Seeds, "seed")
	}
	text := fmt.Sprintf("%s from %d on %s", what, d.Base, counted(uint64(d.Jobs), "worker"))
	if d.For > 0 {
		text += fmt.Sprintf(" for %s", d.For)
	}
	if d.Focus != "" {
		text += ", focus " + d.Focus
	}
	return text + "; Ctrl-C ends with a summary"
}

// Check says what is wrong with the options, in words for those who gave them.
func (o *Options) Check() error {
	switch {
	case o.For < 0:
		return fmt.Errorf("for %s: a time is not negative", o.For)
	case badJobs(o.Jobs) != nil:
		return badJobs(o.Jobs)
	case o.FailuresMax < 0:
		return fmt.Errorf("stop after %d failures: there is at least one; 0 is %d", o.FailuresMax, FailuresMax)
	case o.Seeds > 0 && o.Base > math.MaxUint64-(o.Seeds-1):
		return fmt.Errorf("%d seeds from %d on go beyond the largest seed", o.Seeds, o.Base)
	case o.Seeds == 0 && o.Base > math.MaxUint64-openEndedSeeds:
		return fmt.Errorf("seeds from %d on, without a number of them: there are %d, too few for a campaign without end",
			o.Base, math.MaxUint64-o.Base+1)
	}
	return cmp.Or(CheckEnvironment(), o.simOptions(0).Check())
}

// badJobs says what is wrong with a number of workers.
func badJobs(jobs int) error {
	switch {
	case jobs < 0:
		return fmt.Errorf("%d workers: there is at least one; 0 is one per core", jobs)
	case jobs > jobsMax:
		return fmt.Errorf("%d workers: there are at most %d", jobs, jobsMax)
	}
	return nil
}

// CheckFocus says whether every letter names a feature.
func CheckFocus(letters string) error {
	_, err := sim.ParseFocus(letters)
	return err
}

func (o *Options) setDefaults() {
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	if o.FailuresMax <= 0 {
		o.FailuresMax = FailuresMax
	}
	if o.simulate == nil {
		o.simulate = sim.Run
	}
	if o.create == nil {
		o.create = createFile
	}
}

// Run does the campaign and returns its summary. Cancelling the context ends
// it early and marks the summary as interrupted. An error says that no seed was
// run: the options are wrong, and there is no summary, or the folders of those
// that fail could not be written (CheckDir). That one of them can not be written
// later on ends nothing: its outcome says so.
func Run(ctx context.Context, o Options) (*Summary, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.setDefaults()
	if err := CheckDir(o.Dir); err != nil {
		return newSummary(&o), err
	}
	s := newSummary(&o)
	defer s.finish()

	c := conductor{
		options: &o,
		summary: s,
		stop:    make(chan struct{}),
		room:    make(chan struct{}, windowSeeds),
		work:    make(chan uint64),
		done:    make(chan numbered, windowSeeds),
	}
	c.conduct(ctx)
	return s, nil
}

// conductor owns the goroutines of one campaign. Seeds are numbered from 0.
//
//	dispatch -> work -> workers -> done -> conduct: order, fold, make room
type conductor struct {
	options *Options
	summary *Summary

	stop     chan struct{} // closed: start no more seeds
	stopOnce sync.Once
	room     chan struct{} // holds one token per seed of the window in use
	work     chan uint64
	done     chan numbered // as large as the window, so that no worker blocks

	waiting [windowSeeds]*Outcome // by number, those that came too early
	next    uint64                // the first number not yet folded
}

type numbered struct {
	number  uint64
	outcome *Outcome
}

func (c *conductor) stopStarting() { c.stopOnce.Do(func() { close(c.stop) }) }

func (c *conductor) conduct(ctx context.Context) {
	go c.dispatch()
	var workers sync.WaitGroup
	for range c.options.Jobs {
		workers.Go(c.worker)
	}
	go func() {
		workers.Wait()
		close(c.done)
	}()
	defer c.stopStarting()

	var timeUp, tick, grace <-chan time.Time
	if c.options.For > 0 {
		timer := time.NewTimer(c.options.For)
		defer timer.Stop()
		timeUp = timer.C
	}
	if c.options.Progress != nil {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	cancelled := ctx.Done()
	for {
		select {
		case d, more := <-c.done:
			if !more {
				return
			}
			c.waiting[d.number%windowSeeds] = d.outcome
			c.fold()
		case <-timeUp:
			c.stopStarting()
		case <-cancelled:
			c.summary.Interrupted = true
			cancelled = nil
			c.stopStarting()
			grace = time.After(graceInterrupted)
		case <-grace:
			return
		case <-tick:
			c.options.Progress(c.summary)
		}
	}
}

// dispatch hands out the seeds in order. Whatever was handed out is a prefix of
// them, and so is whatever gets finished.
func (c *conductor) dispatch() {
	defer close(c.work)
	for n := uint64(0); c.options.Seeds == 0 || n < c.options.Seeds; n++ {
		select {
		case <-c.stop:
			return
		case c.room <- struct{}{}:
		}
		select {
		case <-c.stop:
			return
		case c.work <- n:
		}
	}
}

func (c *conductor) worker() {
	for n := range c.work {
		c.done <- numbered{n, c.options.runSeed(c.options.Base + n)}
	}
}

// fold takes what is next in order. Once enough seeds have failed it takes no
// more, so that the summary ends with the same seed on any machine.
func (c *conductor) fold() {
	s := c.summary
	for s.Failures < c.options.FailuresMax && !s.misused() {
		o := c.waiting[c.next%windowSeeds]
		if o == nil {
			return
		}
		c.waiting[c.next%windowSeeds] = nil
		c.next++
		<-c.room
		if o.Failed() && !o.misused() && c.options.Dir != "" {
			// The workers go on meanwhile, as far as the window reaches.
			c.options.leaveFolder(o)
		}
		s.add(o)
		if c.options.Each != nil {
			c.options.Each(o)
		}
	}
	c.stopStarting()
}

// RunSeed runs one seed as a campaign would, folder and all.
func (o Options) RunSeed(seed uint64) *Outcome {
	o.setDefaults()
	out := o.runSeed(seed)
	if out.Failed() && !out.misused() && o.Dir != "" {
		o.leaveFolder(out)
	}
	return out
}

// runSeed runs one seed, one in twenty of them twice.
func (o *Options) runSeed(seed uint64) *Outcome {
	first := OutcomeOf(o.guarded(o.simOptions(seed)), o.Focus)
	if o.Command != nil {
		first.Command = o.Command(seed)
	}
	if runsTwice(seed) {
		second := OutcomeOf(o.guarded(o.simOptions(seed)), o.Focus)
		first.Twice = true
		if what := first.differs(second); what != "" {
			first.becomeNondeterministic(what)
		}
	}
	return first
}

func (o *Options) simOptions(seed uint64) *sim.Options {
	return &sim.Options{Seed: seed, Focus: o.Focus, Scenario: o.Scenario, Workload: o.Workload, Disk: o.Disk}
}

// guarded turns a panic that got out of the simulator into a verdict on its
// seed: a campaign outlives every run.
func (o *Options) guarded(so *sim.Options) (r *sim.Result) {
	defer func() {
		if p := recover(); p != nil {
			r = &sim.Result{Seed: so.Seed, Verdict: sim.Panic, Failure: &sim.Failure{
				Property: "No Panic",
				Detail:   sim.PanicText(p, debug.Stack()),
				Replica:  -1,
			}}
		}
	}()
	return o.simulate(so)
}
