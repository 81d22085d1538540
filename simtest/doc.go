// Package simtest brings the simulator to go test: for our own tests, and for
// those of state machines that are not ours.
//
//	func TestSeeds(t *testing.T) {
//		simtest.Seeds(t, simtest.Config{Workload: newWorkload})
//	}
//
// runs a few seeds as subtests. Any other seed is run by its name, whether or
// not it is among those:
//
//	go test -run 'TestSeeds/seed=12345$'
//
// A seed that fails says what was violated, what came before, and the command
// that repeats it, and leaves a folder among the test's artifacts (go test
// -artifacts). These environment variables hold for all packages of go test
// ./..., which flags of a test do not:
//
//	SEAWORTHY_SEEDS      how many seeds each test runs
//	SEAWORTHY_BASE       the first of them
//	SEAWORTHY_ARTIFACTS  the folder for what failing seeds leave
//
// FuzzSchedule hands the choice of everything that goes wrong to go test -fuzz.
// Kept runs a folder of runs that once broke something, and sees that they
// still go where they went. Scenarios and Programs are generators for
// pgregory.net/rapid.
//
//	seeds.go    Config, Seeds, ScenarioFile; tally.go gathers what fails
//	fuzz.go     FuzzSchedule
//	kept.go     Kept
//	generate.go Scenarios, Programs
package simtest
