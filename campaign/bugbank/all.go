package bugbank

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/seaworthy-raft/seaworthy/campaign"
)

// eachRow calls f for the rows, for some of them at the same time, 0 being one
// per core, and returns all errors in the order of the rows. Once the context
// is done it begins no more.
func eachRow(ctx context.Context, rows []*Row, parallel int, f func(i int, r *Row) error) error {
	if parallel <= 0 {
		parallel = runtime.GOMAXPROCS(0)
	}
	errs := make([]error, len(rows))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(parallel, len(rows)) {
		workers.Go(func() {
			for i := range next {
				errs[i] = f(i, rows[i])
			}
		})
	}
	for i := range rows {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	workers.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// CheckAll applies the patches of the rows and compiles what they make, with
// dir for the files that this takes.
func CheckAll(ctx context.Context, rows []*Row, dir string) error {
	return eachRow(ctx, rows, 0, func(_ int, r *Row) error { return r.Compile(ctx, dir) })
}

// CampaignOptions says how many rows are hunted.
type CampaignOptions struct {
	HuntOptions
	// Bases are the first seeds, one hunt each; they take the place of Base.
	Bases []uint64
	// Parallel is how many rows are hunted at the same time; 0 is one per core.
	// With more than one, each hunt has one worker unless Jobs says otherwise.
	Parallel int
	// Each sees each find as it comes, if it is not nil; never two at a time.
	Each func(*Row, *Find) error
}

// Check says what is wrong with the options, in words for those who gave them.
func (o *CampaignOptions) Check() error {
	c := campaign.Options{Seeds: max(o.Seeds, 1), Jobs: o.Jobs}
	if err := c.Check(); err != nil {
		return err
	}
	c.Jobs = o.Parallel
	if err := c.Check(); err != nil {
		return fmt.Errorf("rows at the same time: %w", err)
	}
	switch {
	case len(o.Bases) == 0:
		return errors.New("no bases: there is at least one hunt of each row")
	case o.CPU < 0:
		return fmt.Errorf("%s of CPU time: a time is not negative", o.CPU)
	case o.Limit < 0:
		return fmt.Errorf("a limit of %s: a time is not negative", o.Limit)
	}
	c.Jobs = 0
	for i, base := range o.Bases {
		c.Base = base
		if err := c.Check(); err != nil {
			return err
		}
		if slices.Contains(o.Bases[:i], base) {
			return fmt.Errorf("two hunts from base %d would be one and the same", base)
		}
	}
	return nil
}

// HuntAll builds each row, hunts it from all bases, repeats what it finds, and
// sums up. Programs are built in dir. What goes wrong with one row does not
// keep the others from being hunted.
func HuntAll(ctx context.Context, rows []*Row, dir string, o CampaignOptions) (*Table, error) {
	for _, r := range rows {
		one := o
		if one.Seeds == 0 {
			one.Seeds = r.Seeds
		}
		if err := one.Check(); err != nil {
			return nil, err
		}
	}
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Jobs == 0 && o.Parallel > 1 && len(rows) > 1 {
		o.Jobs = 1
	}
	finds := make([][]*Find, len(rows))
	var one sync.Mutex
	err := eachRow(ctx, rows, o.Parallel, func(i int, r *Row) error {
		program, err := r.Build(ctx, dir)
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(program) }()
		var all error
		for _, base := range o.Bases {
			h := o.HuntOptions
			h.Base = base
			f, err := r.Hunt(ctx, program, h)
			if err == nil && f.Found {
				err = r.Replay(ctx, program, f)
			}
			all = errors.Join(all, err)
			if ctx.Err() != nil {
				break
			}
			if f == nil {
				continue
			}
			finds[i] = append(finds[i], f)
			if o.Each != nil {
				one.Lock()
				err := o.Each(r, f)
				one.Unlock()
				if err != nil {
					return errors.Join(all, err)
				}
			}
		}
		return all
	})
	t := &Table{How: o.how()}
	for i, r := range rows {
		if len(finds[i]) > 0 {
			t.Add(r, finds[i])
		}
	}
	return t, err
}

// how says it in words, for a table.
func (o *CampaignOptions) how() string {
	text := "Each row was hunted from the seeds " + list(o.Bases)
	if o.Seeds > 0 {
		text += fmt.Sprintf(", for %d seeds", o.Seeds)
	} else {
		text += ", for as many seeds as the row allows"
	}
	if o.CPU > 0 {
		text += " and " + o.CPU.String() + " of CPU time"
	}
	text += " at most"
	if o.Focus {
		text += ", every scenario having what the row needs"
	}
	return text + "."
}
