package sim

import (
	"bytes"
	"fmt"
)

// A state machine appends its reply to those of others (replica.StateMachine).
// One that returns a slice of its own, or writes over what it was given, garbles
// replies that are none of its business, and the failure would look like one of
// the protocol. So it never sees those of others: it is given bytes that no
// reply begins with, and is caught when they are gone.

// givenBytes is what a state machine has to append to.
const givenBytes = "\xa5\x5agiven\xa5"

// replyRoom is how long a reply can be at first for its place to be known.
const replyRoom = 512

// replies has a state machine append to an array of its own.
type replies struct{ array []byte }

// given is what a state machine is to append to.
func (r *replies) given() []byte {
	if r.array == nil {
		r.array = make([]byte, 0, len(givenBytes)+replyRoom)
	}
	return append(r.array[:0], givenBytes...)
}

// taken is the reply in what came back, or what is wrong with that, in words.
func (r *replies) taken(got []byte) (reply []byte, wrong string) {
	switch {
	case !bytes.HasPrefix(got, []byte(givenBytes)):
		return nil, fmt.Sprintf("was given %q to append to, and returned %q, which does not begin with that", givenBytes, short(got))
	case len(got) > cap(r.array): // there was no room: next time there is
		r.array = make([]byte, 0, 2*len(got))
	case &got[0] != &r.array[:1][0]:
		return nil, "returned a slice of its own, though there was room for the reply where it was to be appended"
	}
	return got[len(givenBytes):], ""
}

// appended is reply with what the state machine has appended, according to what
// it returned. If that is wrong the run ends with a failure that names the state
// machine.
func (m *witness) appended(method string, reply, got []byte) []byte {
	own, wrong := m.replies.taken(got)
	if wrong != "" {
		m.h.w.failAt(Safety, m.h.index, "Replies", fmt.Sprintf(
			"%s of the workload's state machine (%T) %s: it has to append to its last argument, as append does, and return that",
			method, m.machine, wrong))
	}
	return append(reply, own...)
}
