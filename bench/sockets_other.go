//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"
)

// sockets is empty: only Linux has epoll.
type sockets struct{}

// errAgain is returned by read if there is nothing to read.
var errAgain = errors.New("nothing to read")

type readiness struct{ index, generation int32 }

func openSockets(netip.Addr) (*sockets, error) {
	return nil, fmt.Errorf("not on %s: the load generator's subscribers need Linux", runtime.GOOS)
}

func (*sockets) close()                                  {}
func (*sockets) wake()                                   {}
func (*sockets) wait(time.Duration) ([]readiness, error) { return nil, errors.ErrUnsupported }
func (*sockets) dial(netip.AddrPort, readiness) (int32, bool, error) {
	return 0, false, errors.ErrUnsupported
}
func (*sockets) connected(int32, readiness) error { return errors.ErrUnsupported }
func (*sockets) write(int32, []byte) error        { return errors.ErrUnsupported }
func (*sockets) read(int32) ([]byte, error)       { return nil, errors.ErrUnsupported }
func (*sockets) hangUp(int32)                     {}
func threadCPU() time.Duration                    { return 0 }
func processCPU() time.Duration                   { return 0 }
func portRange() int                              { return 0 }
func descriptorLimit() int                        { return 0 }
