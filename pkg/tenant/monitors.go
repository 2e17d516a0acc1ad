package tenant

import (
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The ports that Ceph's monitors have unless told otherwise.
const (
	portV1 = "6789"
	portV2 = "3300"
)

// readMonitors fills in the monitors of the rows that name a file of them, and
// returns what it read there.
func (p *Policy) readMonitors() ([]byte, error) {
	var all []byte
	for _, row := range p.Clusters() {
		if row.MonitorsFile == "" {
			continue
		}
		data, err := os.ReadFile(row.MonitorsFile)
		if err != nil {
			return all, fmt.Errorf("read the monitors of cluster %s: %w: %w", row.ID, err, volume.ErrUnavailable)
		}
		if row.Monitors, err = parseMonitors(string(data)); err != nil {
			return all, fmt.Errorf("cluster %s: file %s: %w", row.ID, row.MonitorsFile, err)
		}
		all = append(append(all, 0), data...)
	}
	return all, nil
}

// parseMonitors reads monitors as Rook publishes them (ConfigMap
// rook-ceph-mon-endpoints, field data): NAME=IP:PORT, with commas between. The
// port is the old messenger's unless the cluster has that one turned off; the
// new one's is beside it.
func parseMonitors(text string) ([]string, error) {
	var all []string
	for _, one := range strings.Split(strings.TrimSpace(text), ",") {
		_, address, named := strings.Cut(strings.TrimSpace(one), "=")
		if !named || !isMonitor(address) {
			return nil, fmt.Errorf("%.64q is not NAME=IP:PORT, with commas between: %w", one, volume.ErrInvalid)
		}
		host, port, _ := net.SplitHostPort(address)
		if port == portV1 {
			port = portV2
		}
		all = append(all, net.JoinHostPort(host, port))
	}
	return all, nil
}
