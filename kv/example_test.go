package kv_test

import (
	"bytes"
	"fmt"

	"github.com/seaworthy-raft/seaworthy/kv"
)

// log applies commands as a replica does: encoded, at growing indexes.
type log struct {
	machine *kv.Machine
	index   uint64
}

func (l *log) apply(c kv.Command) kv.Reply {
	l.index++
	time := l.index // in ticks
	var reply kv.Reply
	if err := kv.DecodeReply(l.machine.Apply(l.index, time, kv.AppendCommand(nil, &c), nil), &reply); err != nil {
		panic(err)
	}
	return reply
}

func Example() {
	l := log{machine: kv.New(kv.DefaultLimits())}
	l.apply(kv.Command{Op: kv.OpPut, Key: []byte("ship"), Value: []byte("Fram")})
	r := l.apply(kv.Command{Op: kv.OpIncrement, Key: []byte("voyages"), Delta: 1})
	fmt.Println(r.Status, r.Number, "at version", r.Version)

	scan := kv.AppendCommand(nil, &kv.Command{Op: kv.OpScan})
	if err := kv.DecodeReply(l.machine.Query(scan, nil), &r); err != nil {
		panic(err)
	}
	for _, it := range r.Items {
		fmt.Printf("%s = %s at version %d\n", it.Key, it.Value, it.Version)
	}
	// Output:
	// ok 1 at version 2
	// ship = Fram at version 1
	// voyages = 1 at version 2
}

// A client that did not hear the reply asks again with the same serial, and
// gets the reply of the first time.
func Example_session() {
	l := log{machine: kv.New(kv.DefaultLimits())}
	session := l.apply(kv.Command{Op: kv.OpRegister}).Session
	c := kv.Command{Op: kv.OpIncrement, Session: session, Serial: 1, Key: []byte("n"), Delta: 1}
	fmt.Println(l.apply(c).Number)
	fmt.Println(l.apply(c).Number)
	c.Serial = 2
	fmt.Println(l.apply(c).Number)
	// Output:
	// 1
	// 1
	// 2
}

// A transaction moves between two accounts, unless one of them has changed
// since it was read.
func Example_transaction() {
	l := log{machine: kv.New(kv.DefaultLimits())}
	a := l.apply(kv.Command{Op: kv.OpPut, Key: []byte("a"), Value: []byte("10")})
	b := l.apply(kv.Command{Op: kv.OpPut, Key: []byte("b"), Value: []byte("0")})
	move := kv.Command{
		Op: kv.OpTxn,
		Conditions: []kv.Condition{
			{Kind: kv.ConditionVersion, Key: []byte("a"), Version: a.Version},
			{Kind: kv.ConditionVersion, Key: []byte("b"), Version: b.Version},
		},
		Writes: []kv.TxnWrite{
			{Op: kv.OpIncrement, Key: []byte("a"), Delta: -7},
			{Op: kv.OpIncrement, Key: []byte("b"), Delta: 7},
		},
	}
	fmt.Println(l.apply(move).Status)
	r := l.apply(move)
	fmt.Printf("%v: condition %d, version %d, value %s\n", r.Status, r.Failed, r.Version, r.Value)
	// Output:
	// ok
	// conflict: condition 0, version 3, value 3
}

func ExampleMachine_Restore() {
	l := log{machine: kv.New(kv.DefaultLimits())}
	l.apply(kv.Command{Op: kv.OpPut, Key: []byte("k"), Value: []byte("v")})
	snapshot := l.machine.Snapshot()
	l.apply(kv.Command{Op: kv.OpDelete, Key: []byte("k")})

	var stream bytes.Buffer
	if _, err := snapshot.WriteTo(&stream); err != nil {
		panic(err)
	}
	other := kv.New(kv.DefaultLimits())
	if err := other.Restore(&stream); err != nil {
		panic(err)
	}
	fmt.Println("revision", other.Revision(), "with", other.Len(), "key")
	// Output:
	// revision 1 with 1 key
}
