package kv

import "github.com/seaworthy-raft/seaworthy/core/digest"

// The digest of the state is made of sums, so that it can follow each write:
// the sum over all keys of a digest of key, version and value, and the sum
// over all sessions of a digest of all that a snapshot holds of them. A sum
// does not care for order, and a set of keys has none.
//
// It covers all that decides later replies: also the revision, the log time
// and the limits. It does not cover Index, so that a command that changes
// nothing leaves it as it was, apart from the log time.

const (
	digestRecord  = 0x6b65795f
	digestSession = 0x7365735f
	digestState   = 0x6b765f31
)

func recordDigest(key, value []byte, version uint64) uint64 {
	h := digest.Word(digestRecord, version)
	h = digest.Bytes(h, key)
	return digest.Finish(digest.Bytes(h, value))
}

func sessionDigest(s *session) uint64 {
	h := digest.Word(digestSession, s.id)
	h = digest.Word(h, s.serial)
	h = digest.Word(h, s.active)
	return digest.Finish(digest.Bytes(h, s.reply))
}

func stateDigest(l Limits, time, revision, keySum, sessionSum uint64) uint64 {
	h := digest.Word(digestState, l.SessionsMax)
	h = digest.Word(h, l.SessionBytesMax)
	h = digest.Word(h, l.SessionTicks)
	h = digest.Word(h, time)
	h = digest.Word(h, revision)
	h = digest.Word(h, keySum)
	return digest.Finish(digest.Word(h, sessionSum))
}

// Digest is one word for the whole state, kept up with each command: replicas
// that applied the same entries have the same.
func (m *Machine) Digest() uint64 {
	return stateDigest(m.limits, m.time, m.revision, m.keySum, m.table.sum)
}

// DigestFull is Digest, made again from every key and session. That the two
// differ means that a change went past the sums, or that memory was changed
// under them.
func (m *Machine) DigestFull() uint64 {
	var keySum, sessionSum uint64
	m.records.Ascend(func(r *record) bool {
		keySum += recordDigest(r.key, r.value, r.version)
		return true
	})
	m.table.byID.Ascend(func(s *session) bool {
		sessionSum += sessionDigest(s)
		return true
	})
	return stateDigest(m.limits, m.time, m.revision, keySum, sessionSum)
}
