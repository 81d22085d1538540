package replica

import (
	"fmt"

	"github.com/seaworthy-raft/seaworthy/core"
)

// Rescue has voters alone decide from now on, when the others are lost for
// good: see core.Rescue for what that may cost. The storage must not be in use,
// and has to be opened again afterwards.
func Rescue(storage Storage, voters []core.ReplicaID) error {
	opened, err := storage.Open()
	if err != nil {
		return fmt.Errorf("replica: open storage: %w", err)
	}
	e, hs, err := core.Rescue(&opened.State, voters)
	if err != nil {
		return err
	}
	w := &Write{
		Seq:          1,
		HardStateSet: true,
		HardState:    hs,
		Entries:      []core.Entry{e},
		Mark:         core.LogMark{Term: e.Term, Index: e.Index},
	}
	if err := storage.Append(w); err != nil {
		return fmt.Errorf("replica: write: %w", err)
	}
	if err := storage.Sync(w.Seq); err != nil {
		return fmt.Errorf("replica: sync: %w", err)
	}
	return nil
}
