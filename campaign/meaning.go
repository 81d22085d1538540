package campaign

import "github.com/seaworthy-raft/seaworthy/sim"

// meanings say in one sentence what a property demands, to someone who knows
// Raft and not this code. The first five are the words of the dissertation,
// figure 3.2.
var meanings = map[string]string{
	sim.PropertyElectionSafety:     "At most one leader can be elected in a given term.",
	sim.PropertyLeaderAppendOnly:   "A leader never overwrites or deletes entries in its log; it only appends new entries.",
	sim.PropertyLogMatching:        "If two logs contain an entry with the same index and term, then the logs are identical in all entries up through the given index.",
	sim.PropertyLeaderCompleteness: "If a log entry is committed in a given term, then that entry will be present in the logs of the leaders for all higher-numbered terms.",
	sim.PropertyStateMachineSafety: "If a replica has applied a log entry at a given index, no other replica will ever apply a different log entry for the same index.",

	sim.PropertyNeverBack:         "Terms, commit and applied indexes, and snapshots never go back, and no term is skipped.",
	sim.PropertyOneVote:           "A replica gives at most one vote in each term, whatever happens to it in between.",
	sim.PropertyDurableSpoken:     "A replica speaks of a term or a vote only when it is on its disk, and finds it there again.",
	sim.PropertyTrueMessages:      "What a message says of its sender is true when it leaves.",
	sim.PropertyDurableCommit:     "A committed entry is on the disks of a majority of the voters, and stays there.",
	sim.PropertyLeadersCommit:     "Only a leader commits, and only up to an entry of its own term.",
	sim.PropertySameState:         "State machines that have applied the same entries are in the same state.",
	sim.PropertyAppliedOnce:       "Each command of a session takes effect once, and entries are applied in order without a gap.",
	sim.PropertyAnswers:           "A client is told that a command was applied only when it was, and with the reply that it gave.",
	sim.PropertyReadsCurrent:      "A read is answered from a state that has all that was committed when it was asked.",
	sim.PropertyHonestHeard:       "No replica refuses a message that another has sent in good faith and that arrived undamaged.",
	sim.PropertyNoHalt:            "No replica halts unless a fault explains it.",
	sim.PropertyInvariants:        "What a replica holds in memory fits together.",
	sim.PropertyAcknowledgedStays: "What was acknowledged to a client is still there at the end.",
	sim.PropertyConverged:         "Once healed, all replicas that can hear the leader come to have its log and one state.",

	sim.PropertyConfiguration:   "A replica goes by the last configuration in its log, or in its snapshot if the log holds none.",
	sim.PropertyOneStep:         "Each configuration follows from the one before by one step, which a leader takes when that one and an entry of its own term are committed.",
	sim.PropertyIdsNeverReturn:  "The id of a new member is one that no replica ever had.",
	sim.PropertyElected:         "Who leads a term was promised the votes of a quorum of its configuration.",
	sim.PropertyVotersLead:      "Only a voter of its configuration, or of one that may count again, stands for election and leads.",
	sim.PropertyMembersOnly:     "A leader follows members and those that are yet to learn that they are none, and nobody else.",
	sim.PropertySnapshotMembers: "A snapshot brings the configuration that counted at its index.",
	sim.PropertyLeaseHonest:     "As long as the clocks keep the bound that was stated, nobody else has led a later term when a leader answers a read by its lease.",
	sim.PropertyHandover:        "A leader that hands over takes no proposals, and has done so within an election timeout.",
	sim.PropertyTrueEvents:      "What a replica tells of itself and of its members is true.",
	sim.PropertyLoyalty:         "Who hears a leader, or leads, votes for nobody unless that leader wants it; and only for who asked, with a log as good as its own.",
	sim.PropertyReadsConfirmed:  "Who answers a read without a lease has a quorum that was still led by the same leader after the read came in.",
	sim.PropertyNewerTerms:      "Who hears of a newer term follows in it, whatever it was doing.",
	sim.PropertyOldLeadersTold:  "Who hears the leader of an older term tells it of the newer one at once.",

	"Accepted":                  "A proposal that is not refused becomes an entry at the end of the log at once.",
	"Addressee":                 "A message goes to a member of the cluster.",
	"AnswerOnce":                "Each request gets one answer, and only a request gets one.",
	"AppliedOnce":               "Each operation of a client takes effect at most once.",
	"Codec":                     "What a replica sends can be read by the others.",
	"Corruption":                "A message that was damaged on its way is noticed, and dropped.",
	"Disk":                      "Options.Disk makes disks.",
	"Operation":                 "A client asks for something that the simulator can judge.",
	"Options":                   "What is to be run is a scenario of this simulator.",
	"Workload":                  "A workload has a state machine, callers and a model.",
	"Linearizability":           "What clients saw could have come from one copy that takes one command at a time, each between its call and its return.",
	"Livelock":                  "A cluster does not keep itself busy with nothing.",
	"Model":                     "The model of the state machine can judge every operation.",
	"Panic":                     "Nothing that a cluster can meet makes the program panic.",
	"Partial Connectivity":      "As long as some replica that could be elected and a majority hear each other, a leader commits within a few election timeouts.",
	"Refusal":                   "A request about members that makes no sense is refused.",
	"Transfer":                  "A transfer that is answered as done has the target lead, and no transfer is left in the dark.",
	sim.PropertyOfficeKept:      "In a healed cluster, who leads and is heard by all goes on leading, however slow disks are, unless it was asked not to.",
	"Recovery":                  "Once healed, a cluster elects a leader, answers and converges within its bound; and whoever restarts finds a disk that it can start from.",
	"Replies":                   "A state machine appends its reply to what it is given, and changes nothing of that.",
	"Requested":                 "Nothing is applied that no client asked for.",
	"Storage":                   "A disk takes what it is given, keeps what was synced, and is found in a state that replica.Storage allows.",
	"Sync":                      "A disk that is whole syncs what it was given.",
	"WriteOrder":                "Writes reach the disk one after another, each continuing the last.",
	sim.PropertyDiskLostNoticed: "When a replica starts without what its leader knows it to have held, the leader says so.",
	"Damage":                    "No replica starts on a disk of which a byte has changed.",
	sim.PropertyStartsAgain:     "Whatever a replica has accepted, it can be started again from a disk that keeps everything.",
	"Restore":                   "A process whose snapshot can not be restored ends, and says what the state machine returned.",

	"Determinism": "The same seed makes the same run, event by event.",
}

// meaning is the sentence about a property, or "".
func meaning(property string) string { return meanings[property] }
