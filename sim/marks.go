package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Mark names a situation that a campaign must have reached. A simulator that
// never gets there proves nothing about it: many of them are what a known bug
// of another implementation needed to show.
type Mark uint8

// Most marks are found by the checker's lookout, from what is seen of replicas
// and messages anyway. Those that only others can see are set by them:
//
//	client.go    MarkRetried, MarkRefusedThenApplied
//	cluster.go   MarkTicksAtOnce, MarkCommandFailed, MarkReplicaJoined, MarkDiskStallHandover, MarkSaveFailed,
//	             MarkSavedAfterFailure, MarkSnapshotHuge, MarkSlowDiskLeads
//	mishap.go    MarkRestoreFailed, MarkClockLeap
//	disk.go      MarkHardStateWithoutLog, MarkLogWithoutHardState
//	loss.go      MarkDiskWiped, MarkDiskRolledBack, MarkDamageRefused, MarkLostRemoved, MarkLossNoticed
//	nemesis.go   MarkClockJump, MarkLeaderPaused
//	operator.go  MarkResigned, MarkCampaignAsked, MarkRemovedStopped
const (
	// Elections.
	MarkLeaderElected Mark = iota
	MarkLeaderAgain
	MarkLedTwice
	MarkSingleReplica
	MarkLeaderDeposedUncommitted
	MarkTwoLeaders
	MarkThreeCandidates
	MarkSplitVote
	MarkEvenSplitVote
	MarkCandidateAppend
	MarkOldTermAppend
	MarkVoteRefusedShorter
	MarkVoteRefusedLog
	MarkVoteRefusedTaken
	MarkVoteRefusedLeader
	MarkVoteAskedAgain
	MarkVoterCampaigns
	MarkVoteForFirst
	MarkVoterBehind
	MarkTermFromVote
	MarkTermFromAppend
	MarkOldTermAnswered

	// Pre-votes and the leader's contact with its quorum.
	MarkPreVoteAtLeader
	MarkPreVoteRefusedLog
	MarkVoteRefusedSticky
	MarkPreVoteFailed
	MarkPreVoteAgain
	MarkStepDownNoQuorum
	MarkUselessLeader

	// Logs that differ.
	MarkTailTruncated
	MarkTailTruncatedLong
	MarkTruncatedApplied
	MarkTruncationLost
	MarkAppendOverlaps
	MarkHeartbeatBehind
	MarkHeartbeatUnverified
	MarkAppendBelowSnapshot
	MarkStaleSuffixPartial
	MarkCommitBeforeStaleSuffix
	MarkLongerLogRefuses
	MarkRefusedAcrossTerms
	MarkRefusedGap
	MarkRefusalLate
	MarkElectedVoterBehind
	MarkElectedOldEntries
	MarkProposedBeforeOwnCommit
	MarkProposedAfterDeposed

	// What is committed.
	MarkMinorityHeld
	MarkHalfHeld
	MarkOldTermCommitted
	MarkCommitOwnDiskBehind
	MarkAckOverwritten

	// Snapshots and compaction.
	MarkSnapshotTaken
	MarkSnapshotInstalled
	MarkSnapshotInterrupted
	MarkChunkRepeated
	MarkChunkStray
	MarkSnapshotLate
	MarkSnapshotOverConflict
	MarkSnapshotDropsTail
	MarkSnapshotOlderTerm
	MarkSnapshotAfterVote
	MarkCandidateSnapshot
	MarkBoundary
	MarkElectionEmptyLog
	MarkAppliedWhileSaving
	MarkDownWhileSaving
	MarkSaveFailed
	MarkSavedAfterFailure
	MarkRestoreFailed
	MarkSnapshotHuge

	// Reads.
	MarkReadBeforeOwnCommit
	MarkReadLeadershipLost
	MarkReadWaitsForApply
	MarkFollowerRead
	MarkFollowerReadRefused
	MarkRoundLate
	MarkReadsFull

	// Flow control.
	MarkWindowFull
	MarkUnappliedFull
	MarkPageCut
	MarkFollowerOverloaded
	MarkSendToDown

	// Applying, and sessions.
	MarkMixedPage
	MarkReapplied
	MarkDownBeforeApplied
	MarkCommandFailed
	MarkRetried
	MarkRetryFromTable
	MarkRetryRestoredTable
	MarkSessionUnknown
	MarkSessionUnknownRestored
	MarkRefusedThenApplied
	MarkOutcomeUnknown

	// Crashes, power losses and restarts.
	MarkUnsyncedLost
	MarkUnsyncedVoteLost
	MarkHardStateWithoutLog
	MarkLogWithoutHardState
	MarkPowerLossMajority
	MarkPowerLossLeader
	MarkRestartUncommitted
	MarkAllRestarted
	MarkDiskWiped
	MarkDiskRolledBack
	MarkDamageRefused
	MarkLostRemoved
	MarkLossNoticed

	// Clocks and processes.
	MarkClockJump
	MarkTicksAtOnce
	MarkLeaderPaused
	MarkClockLeap
	MarkSlowDiskLeads

	// Members change.
	MarkConfigurationAppended
	MarkConfigurationTruncated
	MarkTwoConfigurationsUncommitted
	MarkConfigurationUncommittedAtElection
	MarkChangeRefusedTermNotOpen
	MarkChangeRefusedPending
	MarkChangeRefusedMoved
	MarkChangeRefusedLastVoter
	MarkChangeRefusedSilent
	MarkLearnerAdded
	MarkLearnerPromoted
	MarkLearnerDemoted
	MarkLearnerStays
	MarkLearnerUpdated
	MarkLearnersHeld
	MarkLearnerStands
	MarkCatchUpRepeated
	MarkReplicaJoined
	MarkLeaderRemoved
	MarkLeaderDemoted
	MarkRemovedLeaderShort
	MarkRemovedDisturbs
	MarkRemovedTold
	MarkRemovedStopped
	MarkVoteOfNonVoter
	MarkCandidateOfPreviousConfiguration
	MarkStrangerHeard
	MarkQuorumShrunkCommits
	MarkReadsWaitingOnChange
	MarkRestartBehindChange
	MarkRestartUncommittedConfiguration

	// Joint configurations.
	MarkJointEntered
	MarkJointLeft
	MarkJointLeftByAnother
	MarkMembersReplaced
	MarkElectedWhileJoint
	MarkElectedOutgoing
	MarkJointHalfHeld

	// Members and snapshots.
	MarkSnapshotInJoint
	MarkSnapshotSameConfiguration
	MarkSnapshotBringsConfiguration
	MarkSnapshotBeatsOwnConfiguration

	// Leadership changes hands.
	MarkTransferBegun
	MarkTransferDone
	MarkTransferAborted
	MarkTransferToLagging
	MarkTransferRefusedTarget
	MarkTimeoutNowStale
	MarkVoteOverStickiness
	MarkHandoverRefusedProposal
	MarkDiskStallHandover
	MarkPriorityHandover
	MarkResigned
	MarkCampaignAsked

	// Leases.
	MarkLeaseRead
	MarkLeaseExpired
	MarkLeaseBeforeOwnCommit
	MarkLeaseVoidAfterTransfer
	MarkVoteRefusedFresh

	MarkCount
)

// Marks counts how often each was reached.
type Marks [MarkCount]uint32

// markTable says of each mark what it is called, which bugs it is the trigger
// of (rows of the catalogue that testdata/bugs refers to), and what happened.
var markTable = [MarkCount]struct{ name, rows, about string }{
	MarkLeaderElected:            {"leader-elected", "", "a leader was elected"},
	MarkLeaderAgain:              {"leader-again", "", "a second or later leader was elected"},
	MarkLedTwice:                 {"led-twice", "B139", "a replica led again, without a restart since it was deposed"},
	MarkSingleReplica:            {"single-replica", "", "the only replica of a cluster was elected"},
	MarkLeaderDeposedUncommitted: {"leader-deposed-uncommitted", "B004 B040", "a leader was deposed with uncommitted entries in its log"},
	MarkTwoLeaders:               {"two-leaders", "B010", "a leader was elected while an older one, deposed unknowingly, still led"},
	MarkThreeCandidates:          {"three-candidates", "B015", "three replicas were candidates in one term"},
	MarkSplitVote:                {"split-vote", "", "a term with two or more candidates ended without a leader"},
	MarkEvenSplitVote:            {"even-split-vote", "B074", "the same in a cluster of even size"},
	MarkCandidateAppend:          {"candidate-append", "B015", "a candidate received an append of its own term"},
	MarkOldTermAppend:            {"old-term-append", "B008", "a candidate or pre-candidate received an append of an older term"},
	MarkVoteRefusedShorter:       {"vote-refused-shorter", "B004", "a candidate's log was longer than the voter's, but older"},
	MarkVoteRefusedLog:           {"vote-refused-log", "B006", "a vote was refused in a new term because of the candidate's log"},
	MarkVoteRefusedTaken:         {"vote-refused-taken", "B015 B025", "a vote was asked for in a term in which it was given to another"},
	MarkVoteRefusedLeader:        {"vote-refused-leader", "B016", "a rival asked the leader for its vote in the term that it led"},
	MarkVoteAskedAgain:           {"vote-asked-again", "B030", "a vote was asked for by the candidate that had it already"},
	MarkVoterCampaigns:           {"voter-campaigns", "B025", "a replica that had voted for another became a candidate"},
	MarkVoteForFirst:             {"vote-for-first", "B021", "a vote was given to the replica with the lowest id"},
	MarkVoterBehind:              {"voter-behind", "B005", "a vote was asked for at a voter of an older term"},
	MarkTermFromVote:             {"term-from-vote", "B013", "a candidate or pre-candidate learnt of a higher term from an answer"},
	MarkTermFromAppend:           {"term-from-append", "B010 B171", "a leader learnt of a higher term from the answer to an append"},
	MarkOldTermAnswered:          {"old-term-answered", "B171", "an append of an older term was answered"},

	MarkPreVoteAtLeader:   {"pre-vote-at-leader", "B163", "a pre-vote request reached a leader"},
	MarkPreVoteRefusedLog: {"pre-vote-refused-log", "B166", "a pre-vote was refused because of the log"},
	MarkVoteRefusedSticky: {"vote-refused-sticky", "B160 B164", "a vote or pre-vote was refused because a leader was heard"},
	MarkPreVoteFailed:     {"pre-vote-failed", "B161", "a pre-candidate went back to following"},
	MarkPreVoteAgain:      {"pre-vote-again", "B161", "a pre-candidate repeated its requests"},
	MarkStepDownNoQuorum:  {"step-down-no-quorum", "B168", "a leader stepped down because it heard no quorum"},
	MarkUselessLeader:     {"useless-leader", "B168", "it did so while others still followed it"},

	MarkTailTruncated:           {"tail-truncated", "B035 B047", "entries at the end of a log were replaced"},
	MarkTailTruncatedLong:       {"tail-truncated-long", "B047", "more than three of them at once"},
	MarkTruncatedApplied:        {"truncated-applied", "B058", "another entry was applied at an index where one was truncated"},
	MarkTruncationLost:          {"truncation-lost", "B035", "power was lost while a truncation was not synced"},
	MarkAppendOverlaps:          {"append-overlaps", "B034", "an append held entries that the log had already, and ended before it"},
	MarkHeartbeatBehind:         {"heartbeat-behind", "B036", "a heartbeat arrived behind a newer append"},
	MarkHeartbeatUnverified:     {"heartbeat-unverified", "B040 B071", "a heartbeat's commit index lay beyond what it verified"},
	MarkAppendBelowSnapshot:     {"append-below-snapshot", "B037", "an append began before the follower's log did"},
	MarkStaleSuffixPartial:      {"stale-suffix-partial", "B041", "an append matched, and ended before a suffix that the leader does not have"},
	MarkCommitBeforeStaleSuffix: {"commit-before-stale-suffix", "B040", "the same, and its commit index lay beyond it"},
	MarkLongerLogRefuses:        {"longer-log-refuses", "B043", "a follower whose log was longer than the leader's refused an append"},
	MarkRefusedAcrossTerms:      {"refused-across-terms", "B047", "a refusal pointed to an entry of an older term"},
	MarkRefusedGap:              {"refused-gap", "B185", "an append was refused because one before it was lost"},
	MarkRefusalLate:             {"refusal-late", "B045 B048", "a refusal arrived of an append before what is known to match"},
	MarkElectedVoterBehind:      {"elected-voter-behind", "B054 B073", "a leader was elected while a voter that runs lacked committed entries"},
	MarkElectedOldEntries:       {"elected-old-entries", "B072", "a leader was elected with uncommitted entries of older terms"},
	MarkProposedBeforeOwnCommit: {"proposed-before-own-commit", "B060", "a leader got a proposal before it had committed in its term"},
	MarkProposedAfterDeposed:    {"proposed-after-deposed", "B059", "a replica that had led got a proposal meant for a leader"},

	MarkMinorityHeld:        {"minority-held", "B065", "a leader was deposed with an entry durable on several, but too few"},
	MarkHalfHeld:            {"half-held", "B074", "a leader was deposed with an entry durable on exactly half"},
	MarkOldTermCommitted:    {"old-term-committed", "", "an entry of an older term was committed along with one of the leader's"},
	MarkCommitOwnDiskBehind: {"commit-own-disk-behind", "B069", "a leader committed an entry before its own disk had it"},
	MarkAckOverwritten:      {"ack-overwritten", "B035", "a write was acknowledged when the core had already replaced its entries"},

	MarkSnapshotTaken:        {"snapshot-taken", "", "a replica took a snapshot of its own"},
	MarkSnapshotInstalled:    {"snapshot-installed", "B114 B210", "a snapshot from the leader was installed"},
	MarkSnapshotInterrupted:  {"snapshot-interrupted", "", "a stream ended before its last chunk"},
	MarkChunkRepeated:        {"chunk-repeated", "", "a chunk arrived that was there already"},
	MarkChunkStray:           {"chunk-stray", "", "a chunk arrived out of place, or of a stream that is not under way"},
	MarkSnapshotLate:         {"snapshot-late", "B106", "a snapshot arrived that was not beyond the commit index"},
	MarkSnapshotOverConflict: {"snapshot-over-conflict", "B107", "a snapshot arrived that a longer log contradicts"},
	MarkSnapshotDropsTail:    {"snapshot-drops-tail", "B108", "an installed snapshot replaced a longer log"},
	MarkSnapshotOlderTerm:    {"snapshot-older-term", "B020", "an installed snapshot ended in an older term than its receiver's"},
	MarkSnapshotAfterVote:    {"snapshot-after-vote", "B019", "a snapshot was installed in a term in which its receiver had voted"},
	MarkCandidateSnapshot:    {"candidate-snapshot", "B115", "a candidate or pre-candidate received a snapshot of the leader of its term"},
	MarkBoundary:             {"boundary", "B109 B131", "an append was sent behind exactly the last compacted entry"},
	MarkElectionEmptyLog:     {"election-empty-log", "B119", "a candidate's log was empty behind its snapshot"},
	MarkAppliedWhileSaving:   {"applied-while-saving", "B114", "a command was applied while a snapshot was being saved"},
	MarkDownWhileSaving:      {"down-while-saving", "B129", "a replica went down while a snapshot was being saved"},

	MarkSaveFailed:          {"save-failed", "", "a snapshot of a replica's own could not be saved"},
	MarkSavedAfterFailure:   {"saved-after-failure", "", "a replica saved a snapshot after it had failed to"},
	MarkRestoreFailed:       {"restore-failed", "", "a state machine could not be restored, as its snapshot could not be read"},
	MarkSnapshotHuge:        {"snapshot-huge", "", "a snapshot of 64 KiB or more was installed"},
	MarkReadBeforeOwnCommit: {"read-before-own-commit", "B072", "a leader got a read before it had committed in its term"},
	MarkReadLeadershipLost:  {"read-leadership-lost", "B139 B142", "a read waited while the leadership was lost"},
	MarkReadWaitsForApply:   {"read-waits-for-apply", "B137 B204", "a read was asked of a replica that had not applied all it knew to be committed"},
	MarkFollowerRead:        {"follower-read", "", "a follower answered a read"},
	MarkFollowerReadRefused: {"follower-read-refused", "", "the leader refused a follower's read"},
	MarkRoundLate:           {"round-late", "B136", "an answer to a round of an earlier term reached the replica that led that term, and leads again"},
	MarkReadsFull:           {"reads-full", "", "a read was refused because too many waited"},

	MarkWindowFull:         {"window-full", "", "a follower's window was full"},
	MarkUnappliedFull:      {"unapplied-full", "", "a proposal was refused because too much was not committed"},
	MarkPageCut:            {"page-cut", "B181", "a page of committed entries was cut by its size"},
	MarkFollowerOverloaded: {"follower-overloaded", "", "a follower took only the beginning of an append, as too much was not applied"},
	MarkSendToDown:         {"send-to-down", "B184", "a leader sent to a replica that was down, and to one after it"},

	MarkMixedPage:              {"mixed-page", "B206", "a page held commands and entries that are none"},
	MarkReapplied:              {"reapplied", "B210", "a restarted replica applied an entry that it had applied before"},
	MarkDownBeforeApplied:      {"down-before-applied", "B204", "a replica went down before it had applied all it knew to be committed"},
	MarkCommandFailed:          {"command-failed", "B205", "a command of several parts failed"},
	MarkRetried:                {"retried", "B218", "a command was proposed again"},
	MarkRetryFromTable:         {"retry-from-table", "B218", "a retry was answered from the session table"},
	MarkRetryRestoredTable:     {"retry-restored-table", "B213", "the same, from a table that was restored from a snapshot"},
	MarkSessionUnknown:         {"session-unknown", "", "a command was not applied because its session was gone, or further on"},
	MarkSessionUnknownRestored: {"session-unknown-restored", "B211", "the same, by a table that was restored from a snapshot"},
	MarkRefusedThenApplied:     {"refused-then-applied", "B215", "a replica applied what it had refused when it did not lead"},
	MarkOutcomeUnknown:         {"outcome-unknown", "", "a proposal's outcome became unknown"},

	MarkUnsyncedLost:        {"unsynced-lost", "B069", "a power loss took entries that were not synced"},
	MarkUnsyncedVoteLost:    {"unsynced-vote-lost", "", "a power loss took a vote that was not synced"},
	MarkHardStateWithoutLog: {"hard-state-without-log", "", "a hard state survived a power loss that took its log"},
	MarkLogWithoutHardState: {"log-without-hard-state", "", "a log survived a power loss that took its hard state"},
	MarkPowerLossMajority:   {"power-loss-majority", "B069", "a majority was without power at once"},
	MarkPowerLossLeader:     {"power-loss-leader", "B069", "a leader lost power"},
	MarkRestartUncommitted:  {"restart-uncommitted", "B226", "a replica restarted with uncommitted entries in its log"},
	MarkAllRestarted:        {"all-restarted", "B228", "all replicas were down, and started again"},

	MarkDiskWiped:      {"disk-wiped", "", "a voter started on an empty disk"},
	MarkDiskRolledBack: {"disk-rolled-back", "", "a voter started on a backup of its disk"},
	MarkDamageRefused:  {"damage-refused", "", "a start was refused because the disk was damaged"},
	MarkLostRemoved:    {"lost-removed", "", "a replica whose disk was lost was removed and taken away"},
	MarkLossNoticed:    {"loss-noticed", "", "a leader noticed that a follower's disk had lost what it had acknowledged"},

	MarkClockJump:    {"clock-jump", "", "a clock jumped by more than an election timeout"},
	MarkTicksAtOnce:  {"ticks-at-once", "", "a replica got many ticks at once"},
	MarkLeaderPaused: {"leader-paused", "B136", "a leader was paused for longer than an election timeout"},

	MarkClockLeap:     {"clock-leap", "", "a clock went forward by hours"},
	MarkSlowDiskLeads: {"slow-disk-leads", "", "the replica with the slow disk was elected"},

	MarkConfigurationAppended:              {"configuration-appended", "B086", "a leader appended a configuration"},
	MarkConfigurationTruncated:             {"configuration-truncated", "B083", "a configuration at the end of a log was replaced"},
	MarkTwoConfigurationsUncommitted:       {"two-configurations-uncommitted", "B083", "a log held two configurations that its replica did not know to be committed"},
	MarkConfigurationUncommittedAtElection: {"configuration-uncommitted-at-election", "B079", "a leader was elected with a configuration that was not committed"},
	MarkChangeRefusedTermNotOpen:           {"change-refused-term-not-open", "B079", "a change was refused before the leader had committed in its term"},
	MarkChangeRefusedPending:               {"change-refused-pending", "B079", "a change was refused because of the one before"},
	MarkChangeRefusedMoved:                 {"change-refused-moved", "", "a change was refused because it was made for an older configuration"},
	MarkChangeRefusedLastVoter:             {"change-refused-last-voter", "B097", "a change was refused that would have left no voters"},
	MarkLearnerAdded:                       {"learner-added", "B085", "a learner was added"},
	MarkLearnerPromoted:                    {"learner-promoted", "B175", "a learner became a voter"},
	MarkLearnerDemoted:                     {"learner-demoted", "B105", "a voter became a learner"},
	MarkLearnerStays:                       {"learner-stays", "B175 B177", "members changed around a learner that stayed one"},
	MarkLearnerUpdated:                     {"learner-updated", "B178", "the address or priority of a learner was changed"},
	MarkLearnersHeld:                       {"learners-held", "B068", "a leader was deposed with an entry on as many disks as a majority has, learners among them"},
	MarkCatchUpRepeated:                    {"catch-up-repeated", "", "a learner took too long for a round of catching up"},
	MarkReplicaJoined:                      {"replica-joined", "B085", "a new replica learnt that it is a member"},
	MarkLeaderRemoved:                      {"leader-removed", "B067", "a leader appended a configuration that it is no member of"},
	MarkLeaderDemoted:                      {"leader-demoted", "B104", "a leader appended a configuration in which it learns"},
	MarkRemovedLeaderShort:                 {"removed-leader-short", "B067", "a leader that removed itself was deposed with an entry that lacked its voice only"},
	MarkRemovedDisturbs:                    {"removed-disturbs", "B160", "a removed replica asked for votes"},
	MarkRemovedTold:                        {"removed-told", "", "a replica learnt of its own removal"},
	MarkRemovedStopped:                     {"removed-stopped", "", "a removed replica was taken away for good"},
	MarkChangeRefusedSilent:                {"change-refused-silent", "", "a change was refused because those who would decide are not in touch"},
	MarkLearnerStands:                      {"learner-stands", "", "a learner that is to be promoted stood for election"},
	MarkVoteOfNonVoter:                     {"vote-of-non-voter", "", "a replica gave its vote that has none by its own configuration"},
	MarkCandidateOfPreviousConfiguration:   {"candidate-of-previous-configuration", "B090", "a replica stood for election that votes only if its latest configuration is not committed"},
	MarkStrangerHeard:                      {"stranger-heard", "B095", "a message of a replica that is no member reached a leader"},
	MarkQuorumShrunkCommits:                {"quorum-shrunk-commits", "B141", "a smaller quorum committed what the one before it had not"},
	MarkReadsWaitingOnChange:               {"reads-waiting-on-change", "B105 B141", "a leader changed members while reads waited"},
	MarkRestartBehindChange:                {"restart-behind-change", "B085 B086", "a replica restarted with other members than the founding ones"},
	MarkRestartUncommittedConfiguration:    {"restart-uncommitted-configuration", "B084", "a replica restarted with a configuration that it did not know to be committed"},

	MarkJointEntered:       {"joint-entered", "B099", "a leader appended a joint configuration"},
	MarkJointLeft:          {"joint-left", "", "a joint configuration was left"},
	MarkJointLeftByAnother: {"joint-left-by-another", "B103", "the same, by another leader than the one that entered it"},
	MarkMembersReplaced:    {"members-replaced", "B099", "a joint configuration had voters come and go"},
	MarkElectedWhileJoint:  {"elected-while-joint", "B099 B103", "a leader was elected in a joint configuration"},
	MarkElectedOutgoing:    {"elected-outgoing", "B104", "the same, and it votes in the outgoing half only"},
	MarkJointHalfHeld:      {"joint-half-held", "B099", "a leader was deposed with an entry that a majority of only one half held"},

	MarkSnapshotInJoint:               {"snapshot-in-joint", "B126", "a replica took a snapshot with a joint configuration"},
	MarkSnapshotSameConfiguration:     {"snapshot-same-configuration", "B128", "a replica took a second snapshot with the configuration of the one before"},
	MarkSnapshotBringsConfiguration:   {"snapshot-brings-configuration", "B175", "an installed snapshot brought a configuration"},
	MarkSnapshotBeatsOwnConfiguration: {"snapshot-beats-own-configuration", "B124", "an installed snapshot replaced a log with a later configuration in it"},

	MarkTransferBegun:           {"transfer-begun", "B017", "a leader began to hand over"},
	MarkTransferDone:            {"transfer-done", "B017", "the replica that was asked to stand was elected"},
	MarkTransferAborted:         {"transfer-aborted", "B157", "a handover came to nothing in time"},
	MarkTransferToLagging:       {"transfer-to-lagging", "B152", "a leader began to hand over to a replica that lacked entries"},
	MarkTransferRefusedTarget:   {"transfer-refused-target", "B153", "a transfer was refused because the target could not take over"},
	MarkTimeoutNowStale:         {"timeout-now-stale", "B158", "a replica was asked to stand by the leader of an older term than its own"},
	MarkVoteOverStickiness:      {"vote-over-stickiness", "", "a replica that followed a leader voted for the one that was to take over"},
	MarkHandoverRefusedProposal: {"handover-refused-proposal", "B157", "a leader refused a proposal because it was handing over"},
	MarkDiskStallHandover:       {"disk-stall-handover", "", "a leader handed over because its disk stood still"},
	MarkPriorityHandover:        {"priority-handover", "", "a leader handed over to a voter of higher priority"},
	MarkResigned:                {"resigned", "B017", "a leader handed over, and another one leads, because it was about to be shut down"},
	MarkCampaignAsked:           {"campaign-asked", "", "a replica was asked to stand for election"},

	MarkLeaseRead:              {"lease-read", "", "a leader answered a read by its lease"},
	MarkLeaseExpired:           {"lease-expired", "B150", "a read came to a leader that held no lease any more"},
	MarkLeaseBeforeOwnCommit:   {"lease-before-own-commit", "B149", "a read came to a leader that had not committed in its term, and so had no lease"},
	MarkLeaseVoidAfterTransfer: {"lease-void-after-transfer", "", "a read came to a leader without a lease, as it had asked another to stand"},
	MarkVoteRefusedFresh:       {"vote-refused-fresh", "B145", "a replica refused its vote because it had just started"},
}

// MarkNames are what marks are called, in summaries and in lists of what a run
// must reach.
var MarkNames = markNames()

func markNames() (names [MarkCount]string) {
	for m := range names {
		names[m] = markTable[m].name
	}
	return names
}

func (m Mark) String() string {
	if m < MarkCount {
		return MarkNames[m]
	}
	return "invalid"
}

// About says in one line what happened.
func (m Mark) About() string {
	if m < MarkCount {
		return markTable[m].about
	}
	return "invalid"
}

// MarkNamed is the mark of that name.
func MarkNamed(name string) (Mark, bool) {
	for m, n := range MarkNames {
		if n == name {
			return Mark(m), true
		}
	}
	return 0, false
}

// Add counts o along with m, up to what a counter can hold.
func (m *Marks) Add(o *Marks) {
	for i, n := range o {
		if m[i] += n; m[i] < n {
			m[i] = 1<<32 - 1
		}
	}
}

// MarshalJSON writes an object from names to counts, all of them, in the order
// of the constants.
func (m Marks) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, n := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%d", MarkNames[i], n)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON wrote. Marks that are not mentioned are
// zero; one that does not exist is an error.
func (m *Marks) UnmarshalJSON(data []byte) error {
	var counts map[string]uint32
	if err := json.Unmarshal(data, &counts); err != nil {
		return err
	}
	*m = Marks{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		i, ok := MarkNamed(name)
		if !ok {
			return fmt.Errorf("sim: no mark is called %q", name)
		}
		m[i] = counts[name]
	}
	return nil
}
