// Package campaign runs many seeds of the simulator on many cores, and says
// what came of them. It is the simulator's only place with goroutines, clocks
// and files: each run inside is one thread that knows nothing of the others.
//
// What a campaign says does not depend on the number of workers. Outcomes are
// put back into the order of their seeds before anything is counted, printed
// or folded into the campaign's hash, and a campaign that ends early (time is
// up, ten seeds have failed, someone pressed Ctrl-C) counts the seeds from its
// first up to one without a gap.
//
//	campaign.go  Run: the options, the workers, the order
//	outcome.go   what is kept of a run; verdicts and exit codes
//	summary.go   what is kept of a campaign, in bounded memory; the JSON lines
//	groups.go    failures by what they violate
//	single.go    one run: of a seed, or a replay of what one left behind
//	repro.go     repro.json: seed, code, scenario and tape
//	folder.go    what a failing seed leaves behind; notes.go is for its picture
//	text.go      outcomes and summaries for people; meaning.go has the properties
//	view.go      a run in dense lines, one column per replica
//	connectivity.go  links taken away for good, in every possible way
//	leases.go    by how much clocks must differ before reads by lease break
package campaign
