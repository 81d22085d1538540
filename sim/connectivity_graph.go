package sim

import (
	"math/bits"

	"github.com/seaworthy-raft/seaworthy/netsim"
)

// Digraphs returns all sets of directed links between n replicas, at most five,
// but only one of those that differ in the names of the replicas alone: the
// first in the order of their bits. Their numbers are their places in the
// slice, for ever.
//
// A graph is a word with one bit for each ordered pair. Whoever is met first is
// the least of its orbit under the renamings; the others are crossed out.
func Digraphs(n int) []netsim.Matrix {
	if n < 1 || n > 5 {
		panic("sim: graphs of one to five replicas only")
	}
	pair := func(i, j int) int {
		if j > i {
			j--
		}
		return i*(n-1) + j
	}
	pairs := n * (n - 1)
	var renamings [][]uint32 // what becomes of each bit
	eachOrder(n, func(order []int) {
		r := make([]uint32, pairs)
		for i := range n {
			for j := range n {
				if i != j {
					r[pair(i, j)] = 1 << pair(order[i], order[j])
				}
			}
		}
		renamings = append(renamings, r)
	})
	seen := make([]bool, 1<<pairs)
	var graphs []netsim.Matrix
	for g := range uint32(1) << pairs {
		if seen[g] {
			continue
		}
		for _, r := range renamings {
			image := uint32(0)
			for rest := g; rest != 0; rest &= rest - 1 {
				image |= r[bits.TrailingZeros32(rest)]
			}
			seen[image] = true
		}
		m := netsim.None(n)
		for i := range n {
			for j := range n {
				if i != j && g>>pair(i, j)&1 != 0 {
					m[i] |= 1 << j
				}
			}
		}
		graphs = append(graphs, m)
	}
	return graphs
}

// eachOrder calls f with each order of 0 to n-1. The slice is borrowed.
func eachOrder(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var place func(k int)
	place = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			place(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	place(0)
}

// GraphClass says what a set of links lets a cluster do.
type GraphClass uint8

const (
	// GraphMajority: the replicas of some majority all hear each other.
	GraphMajority GraphClass = iota
	// GraphHub: no majority does, but some replica hears a majority, itself
	// counted, and is heard by it. It can lead if its log is good enough for
	// them.
	GraphHub
	// GraphNone: nobody can lead for long.
	GraphNone
	GraphClasses // their number
)

var graphClassNames = [GraphClasses]string{"majority", "hub", "none"}

func (c GraphClass) String() string { return graphClassNames[c] }

// ClassOf is the class of a graph of at most 16 replicas.
func ClassOf(m netsim.Matrix) GraphClass {
	n := len(m)
	class := GraphNone
	both := make([]uint64, n) // who is connected with whom in both directions
	for i := range m {
		for j := range m {
			if i == j || m.Both(netsim.End(i), netsim.End(j)) {
				both[i] |= 1 << j
			}
		}
		if 2*bits.OnesCount64(both[i]) > n {
			class = GraphHub
		}
	}
	for set := range uint64(1) << n {
		if 2*bits.OnesCount64(set) <= n {
			continue
		}
		mutual := true
		for i := range m {
			mutual = mutual && (set>>i&1 == 0 || set&^both[i] == 0)
		}
		if mutual {
			return GraphMajority
		}
	}
	return class
}

// ConnectivityCase is a graph that has a name, because clusters have met it.
type ConnectivityCase struct {
	Name  string
	About string
	Graph netsim.Matrix
	// Leader led before the links changed; Behind, as bits, lack some of what
	// was committed by then.
	Leader int
	Behind uint64
	// Live says that the cluster has to go on.
	Live bool
}

// ConnectivityCases are the three of the OmniPaxos paper (EuroSys 2023), the
// outage of Cloudflare's etcd in November 2020 and its relatives, and leaders
// that have lost one direction.
func ConnectivityCases() []ConnectivityCase {
	const three, five = 3, 5
	// without is everyone connected with everyone, but for some links.
	without := func(n int, pairs ...[2]int) netsim.Matrix {
		m := netsim.All(n)
		for _, p := range pairs {
			m[p[0]] &^= 1 << p[1]
		}
		return m
	}
	star := netsim.Star(five, 0)
	apart := netsim.Star(five, 0)
	apart[0] &^= 1 << 2
	apart[2] = 1 << 2
	partly := netsim.TwoSides(five, 1<<0)
	partly[0] |= 1 << 1
	partly[1] |= 1 << 0
	chain := func(n int) netsim.Matrix {
		order := make([]netsim.End, n)
		for i := range order {
			order[i] = netsim.End(i)
		}
		return netsim.Chain(n, order)
	}
	return []ConnectivityCase{
		{"quorum-loss", "all hear one replica only, which does not lead", star, 1, 0, true},
		{"constrained-election", "the leader is cut off, the others hear one replica only", apart, 2, 0, true},
		{"constrained-election-behind", "the same, and that one lacks what is committed", apart, 2, 1 << 0, false},
		{"chained", "three in a chain, the leader at one end", chain(three), 0, 0, true},
		{"chained-five", "five in a chain, the leader at one end", chain(five), 0, 0, true},
		{"switch", "one of three and the leader do not hear each other", without(three, [2]int{0, 1}, [2]int{1, 0}), 0, 0, true},
		{"switch-unheard", "one of three hears the leader, which does not hear it", without(three, [2]int{1, 0}), 0, 0, true},
		{"switch-deaf", "one of three does not hear the leader, which hears it", without(three, [2]int{0, 1}), 0, 0, true},
		{"switch-five", "one of five and the leader do not hear each other", without(five, [2]int{0, 1}, [2]int{1, 0}), 0, 0, true},
		{"leader-partly", "the leader is left with one follower, which has all others", partly, 0, 0, true},
		{"leader-mute", "the leader hears everyone, and nobody hears it",
			without(five, [2]int{0, 1}, [2]int{0, 2}, [2]int{0, 3}, [2]int{0, 4}), 0, 0, true},
		{"leader-deaf", "everyone hears the leader, which hears nobody",
			without(five, [2]int{1, 0}, [2]int{2, 0}, [2]int{3, 0}, [2]int{4, 0}), 0, 0, true},
	}
}
