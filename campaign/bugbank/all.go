package bugbank

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
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

// HuntAll builds each row, hunts it from all bases, repeats what it finds, and
// sums up. Programs are built in dir. What goes wrong with one row does not
// keep the others from being hunted.
func HuntAll(ctx context.Context, rows []*Row, dir string, o CampaignOptions) (*Table, error) {
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
