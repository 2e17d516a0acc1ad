// Liveness stands in for livenessprobe, which is no Go module that could be
// built here: it answers the kubelet's HTTP probe by the driver's Probe, with
// the flags that manifests give the real one.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	address := flag.String("csi-address", "/run/csi/socket", "the driver's socket")
	timeout := flag.Duration("probe-timeout", time.Second, "how long the driver may take to answer")
	port := flag.Int("health-port", 9808, "the port of /healthz, where http-endpoint is not given")
	endpoint := flag.String("http-endpoint", "", "the address of /healthz")
	flag.Int("v", 0, "how much to log: accepted, it changes nothing")
	flag.Parse()
	if *endpoint == "" {
		*endpoint = fmt.Sprintf(":%d", *port)
	}
	connection, err := grpc.NewClient("unix://"+*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal("liveness: ", err)
	}
	http.Handle("/healthz", health{driver: csi.NewIdentityClient(connection), timeout: *timeout})
	server := http.Server{Addr: *endpoint, ReadHeaderTimeout: *timeout}
	log.Fatal("liveness: ", server.ListenAndServe())
}

// health is /healthz of one driver.
type health struct {
	driver  csi.IdentityClient
	timeout time.Duration
}

func (h health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	answer, err := h.driver.Probe(ctx, &csi.ProbeRequest{})
	if err != nil {
		log.Print("liveness: ", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// Absent means ready: see Probe in the CSI specification.
	if answer.GetReady() != nil && !answer.GetReady().GetValue() {
		http.Error(w, "the driver is not ready", http.StatusInternalServerError)
	}
}
