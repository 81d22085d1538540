// Package linearizability judges whether what clients saw could have come from
// one copy of the state machine that takes one command at a time, each at some
// instant between its call and its return (Herlihy and Wing, 1990).
//
//	history.go   History: who called what, when, and what came back
//	model.go     Model: the state machine, written a second time and naively
//	kv.go        KV: the model of package kv
//	foresight.go what replies of KV tell before any search
//	check.go     Checker: Points judges by log index, Whole without it
//	picture.go   Picture: a failed history as a page to look at
//
// The judge is porcupine, and this package is its only importer. There is no
// wall-clock timeout anywhere: what a verdict costs is bounded in steps of the
// model, so it is the same on every machine.
//
// Two ways of judging:
//
//   - Points, for every run. The simulator knows for each operation the log
//     index at which it took effect. That gives one order of all operations;
//     the check is that this order agrees with real time and with the model.
//     It is linear in the length of the history, and Ok is a proof.
//   - Whole, for small runs. It does not believe the simulator's indexes, and
//     searches all orders.
package linearizability
