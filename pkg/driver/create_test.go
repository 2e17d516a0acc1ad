package driver_test

import (
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const (
	namespaceKey = "csi.storage.k8s.io/pvc/namespace"
	someHash     = "0123456789abcdef0123456789abcdef"

	singleWriter = csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER
	multiWriter  = csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER
	nodeWriter   = csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER
	nodeReader   = csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY
	manyReaders  = csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY
	manyWriters  = csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
	oneOfMany    = csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER
)

// badCreations are CreateVolume requests that are refused. says is what the
// message has to tell.
var badCreations = map[string]struct {
	change func(*csi.CreateVolumeRequest)
	code   codes.Code
	says   string
}{
	"no name":              {func(r *csi.CreateVolumeRequest) { r.Name = "" }, codes.InvalidArgument, "name is missing"},
	"name too long":        {func(r *csi.CreateVolumeRequest) { r.Name = strings.Repeat("n", 129) }, codes.InvalidArgument, "limit is 128"},
	"NUL in the name":      {func(r *csi.CreateVolumeRequest) { r.Name = "a\x00b" }, codes.InvalidArgument, "control character"},
	"escape in the name":   {func(r *csi.CreateVolumeRequest) { r.Name = "a\x1bb" }, codes.InvalidArgument, "control character"},
	"DEL in the name":      {func(r *csi.CreateVolumeRequest) { r.Name = "a\x7f" }, codes.InvalidArgument, "control character"},
	"C1 in the name":       {func(r *csi.CreateVolumeRequest) { r.Name = "a\u0085" }, codes.InvalidArgument, "control character"},
	"no capabilities":      {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = nil }, codes.InvalidArgument, "capabilities are missing"},
	"an empty capability":  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = []*csi.VolumeCapability{{}} }, codes.InvalidArgument, "access type"},
	"no access mode":       {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].AccessMode = nil }, codes.InvalidArgument, "access mode"},
	"no access type":       {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].AccessType = nil }, codes.InvalidArgument, "access type"},
	"unknown mode":         {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(0) }, codes.InvalidArgument, "UNKNOWN"},
	"a mode of the future": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(77) }, codes.InvalidArgument, "77"},
	"one writer of many":   {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(oneOfMany) }, codes.InvalidArgument, "MULTI_NODE_SINGLE_WRITER"},
	"many writers, mount":  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(manyWriters) }, codes.InvalidArgument, "MULTI_NODE_MULTI_WRITER is served by backend rbd for block"},
	"block and mount": {func(r *csi.CreateVolumeRequest) {
		r.VolumeCapabilities = append(r.VolumeCapabilities, block(singleWriter))
	}, codes.InvalidArgument, "block and for mount"},
	"two file systems": {func(r *csi.CreateVolumeRequest) {
		r.VolumeCapabilities = []*csi.VolumeCapability{fsType("ext4"), fsType("xfs")}
	}, codes.InvalidArgument, "one file system"},
	"foreign file system": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = fsType("ntfs") }, codes.InvalidArgument, `"ntfs"`},
	"endless file system": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = fsType(strings.Repeat("x", 1<<16)) }, codes.InvalidArgument, "xxx"},
	"blank EROFS":         {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = fsType("erofs") }, codes.InvalidArgument, "erofs"},
	"mount group":         {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].GetMount().VolumeMountGroup = "7" }, codes.InvalidArgument, "fsGroup"},
	"endless mount flags": {func(r *csi.CreateVolumeRequest) {
		r.VolumeCapabilities[0].GetMount().MountFlags = []string{strings.Repeat("f", 4097)}
	}, codes.InvalidArgument, "4096"},
	"a harmful mount flag": {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].GetMount().MountFlags = []string{"suid"} }, codes.InvalidArgument, `"suid" is not known to be harmless`},
	"a reader's flag":      {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].GetMount().MountFlags = []string{"ro"} }, codes.InvalidArgument, "reader's access mode"},
	"NUL in a mount flag":  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0].GetMount().MountFlags = []string{"a\x00"} }, codes.InvalidArgument, "NUL"},
	"reader without data":  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(manyReaders) }, codes.InvalidArgument, "golden"},
	"reader alone, block":  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = block(nodeReader) }, codes.InvalidArgument, "golden"},
	"negative size":        {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = -1 }, codes.OutOfRange, "negative"},
	"negative limit":       {func(r *csi.CreateVolumeRequest) { r.CapacityRange.LimitBytes = -1 }, codes.OutOfRange, "negative"},
	"over the limit":       {func(r *csi.CreateVolumeRequest) { r.CapacityRange.LimitBytes = mib }, codes.OutOfRange, "limits to"},
	"too large":            {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = volume.MaxSize + 1 }, codes.OutOfRange, "largest"},
	"limit of one byte":    {func(r *csi.CreateVolumeRequest) { r.CapacityRange = &csi.CapacityRange{LimitBytes: 1} }, codes.OutOfRange, "raise the limit"},
	"unknown parameter":    {func(r *csi.CreateVolumeRequest) { r.Parameters["goldne"] = "m:v1" }, codes.InvalidArgument, `did you mean "golden"`},
	"parameter in capital": {func(r *csi.CreateVolumeRequest) { r.Parameters["Cluster"] = "main" }, codes.InvalidArgument, `did you mean "cluster"`},
	"tenant":               {func(r *csi.CreateVolumeRequest) { r.Parameters["tenant"] = "globex" }, codes.InvalidArgument, `"tenant" is not known`},
	"endless parameters":   {func(r *csi.CreateVolumeRequest) { r.Parameters["csi.storage.k8s.io/x"] = strings.Repeat("v", 4096) }, codes.InvalidArgument, "limit is 4096"},
	"bad prefetch":         {func(r *csi.CreateVolumeRequest) { r.Parameters["prefetch"] = "some" }, codes.InvalidArgument, "none or metadata or all"},
	"bad share":            {func(r *csi.CreateVolumeRequest) { r.Parameters["share"] = "all" }, codes.InvalidArgument, "node or clone"},
	"bad backend":          {func(r *csi.CreateVolumeRequest) { r.Parameters["backend"] = "nfs" }, codes.InvalidArgument, "use rbd or cephfs"},
	"unknown cluster":      {func(r *csi.CreateVolumeRequest) { r.Parameters["cluster"] = "other" }, codes.InvalidArgument, "which has main"},
	"bad golden":           {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "../m:v1" }, codes.InvalidArgument, "like resnet50:v1"},
	"golden with NUL":      {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "m\x00:v1" }, codes.InvalidArgument, "like resnet50:v1"},
	"golden at a snapshot": {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "m@sealed:v1" }, codes.InvalidArgument, "like resnet50:v1"},
	"no such golden":       {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "none:v1" }, codes.NotFound, "none:v1"},
	"not granted":          {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "globex/m:v1" }, codes.PermissionDenied, "globex/m:v1"},
	"retired":              {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "old:v1" }, codes.NotFound, "old:v1"},
	"limit below golden": {func(r *csi.CreateVolumeRequest) {
		r.Parameters["golden"] = "m:v1"
		r.CapacityRange = &csi.CapacityRange{LimitBytes: 8*mib - 1}
	}, codes.OutOfRange, "raise the limit"},
	"writable EROFS": {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "e:v1" }, codes.InvalidArgument, "ReadOnlyMany"},
	"golden of another file system": {func(r *csi.CreateVolumeRequest) {
		r.Parameters["golden"], r.VolumeCapabilities[0] = "m:v1", fsType("xfs")
	}, codes.InvalidArgument, "leave fsType out"},
	"no namespace":         {func(r *csi.CreateVolumeRequest) { delete(r.Parameters, namespaceKey) }, codes.InvalidArgument, "--extra-create-metadata"},
	"empty namespace":      {func(r *csi.CreateVolumeRequest) { r.Parameters[namespaceKey] = "" }, codes.InvalidArgument, "--extra-create-metadata"},
	"foreign namespace":    {func(r *csi.CreateVolumeRequest) { r.Parameters[namespaceKey] = "elsewhere" }, codes.PermissionDenied, "belongs to no tenant"},
	"namespace with slash": {func(r *csi.CreateVolumeRequest) { r.Parameters[namespaceKey] = "acme-prod/../globex" }, codes.PermissionDenied, "belongs to no tenant"},
	"endless namespace":    {func(r *csi.CreateVolumeRequest) { r.Parameters[namespaceKey] = strings.Repeat("n", 4000) }, codes.PermissionDenied, "belongs to no tenant"},
	"mutable parameters":   {func(r *csi.CreateVolumeRequest) { r.MutableParameters = map[string]string{"iops": "1"} }, codes.InvalidArgument, "VolumeAttributesClass"},
	"topology": {func(r *csi.CreateVolumeRequest) {
		r.AccessibilityRequirements = &csi.TopologyRequirement{Requisite: []*csi.Topology{{Segments: map[string]string{"zone": "a"}}}}
	}, codes.InvalidArgument, "accessibility_requirements"},
	"source of no kind":   {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} }, codes.InvalidArgument, "neither"},
	"source without ID":   {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromVolume("") }, codes.InvalidArgument, "missing"},
	"snapshot without ID": {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromSnapshot("") }, codes.InvalidArgument, "missing"},
	"foreign source":      {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromVolume("fake-vol-id") }, codes.NotFound, "not made by this driver"},
	"foreign snapshot":    {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromSnapshot("fake-snap-id") }, codes.NotFound, "not made by this driver"},
	"volume for a snapshot": {func(r *csi.CreateVolumeRequest) {
		r.VolumeContentSource = fromSnapshot("sdp1.rbd.main.acme." + someHash)
	}, codes.NotFound, "not made by this driver"},
	"no such source": {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromVolume("sdp1.rbd.main.acme." + someHash) }, codes.NotFound, "sdp1.rbd.main.acme." + someHash},
	"no such snapshot": {func(r *csi.CreateVolumeRequest) {
		r.VolumeContentSource = fromSnapshot("sdp1s.rbd.main.acme." + someHash)
	}, codes.NotFound, "sdp1s.rbd.main.acme." + someHash},
	"another tenant's volume": {func(r *csi.CreateVolumeRequest) {
		r.VolumeContentSource = fromVolume("sdp1.rbd.main.globex." + someHash)
	}, codes.PermissionDenied, "globex"},
	"another tenant's snapshot": {func(r *csi.CreateVolumeRequest) {
		r.VolumeContentSource = fromSnapshot("sdp1s.rbd.main.globex." + someHash)
	}, codes.PermissionDenied, "globex"},
	"source of another backend": {func(r *csi.CreateVolumeRequest) {
		r.VolumeContentSource = fromVolume("sdp1.cephfs.main.acme." + someHash)
	}, codes.InvalidArgument, "cephfs"},
	"endless source": {func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = fromVolume(strings.Repeat("s", 1<<20)) }, codes.NotFound, "not made by this driver"},
}

func fsType(name string) *csi.VolumeCapability {
	c := mounted(multiWriter)
	c.GetMount().FsType = name
	return c
}

// A bad request gets its code and a message that says what to do, and leaves
// nothing in Ceph.
func TestCreateVolumeRefuses(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "m:v1", "ext4", 8*mib)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	r.golden(t, "globex", "m:v1", "ext4", 8*mib)
	r.shelf["acme/old:v1"] = volume.Golden{State: volume.GoldenRetired}
	before := strings.Join(r.ceph.Contents(r.place(t, "acme-prod")), "\n")
	for name, tc := range badCreations {
		t.Run(name, func(t *testing.T) {
			req := blank("bad")
			tc.change(req)
			_, err := r.CreateVolume(t.Context(), req)
			wantCode(t, err, tc.code)
			if m := status.Convert(err).Message(); !strings.Contains(m, tc.says) || len(m) > 800 {
				t.Errorf("the message (%d bytes) does not say %q: %.900s", len(m), tc.says, m)
			}
			if after := strings.Join(r.ceph.Contents(r.place(t, "acme-prod")), "\n"); after != before {
				t.Errorf("left in Ceph:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// goodCreations are requests that are served, and the capacity of the answer.
var goodCreations = map[string]struct {
	change   func(*csi.CreateVolumeRequest)
	capacity int64
}{
	"blank":                  {func(*csi.CreateVolumeRequest) {}, 4 * mib},
	"blank xfs":              {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = fsType("xfs") }, 4 * mib},
	"block":                  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = block(singleWriter) }, 4 * mib},
	"block, many writers":    {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = block(manyWriters) }, 4 * mib},
	"node writer":            {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(nodeWriter) }, 4 * mib},
	"no size":                {func(r *csi.CreateVolumeRequest) { r.CapacityRange = nil }, volume.DefaultSize},
	"size zero":              {func(r *csi.CreateVolumeRequest) { r.CapacityRange = &csi.CapacityRange{} }, volume.DefaultSize},
	"one byte":               {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 1 }, mib},
	"only a limit":           {func(r *csi.CreateVolumeRequest) { r.CapacityRange = &csi.CapacityRange{LimitBytes: 3*mib + 1} }, 3 * mib},
	"longest name":           {func(r *csi.CreateVolumeRequest) { r.Name = strings.Repeat("n", 128) }, 4 * mib},
	"name with white space":  {func(r *csi.CreateVolumeRequest) { r.Name = "a\tb\nc\rd" }, 4 * mib},
	"name with a path":       {func(r *csi.CreateVolumeRequest) { r.Name = "../../a@b/c" }, 4 * mib},
	"name in other letters":  {func(r *csi.CreateVolumeRequest) { r.Name = "том-данных-模型" }, 4 * mib},
	"Kubernetes' parameters": {func(r *csi.CreateVolumeRequest) { r.Parameters["csi.storage.k8s.io/pv/name"] = "pv-1" }, 4 * mib},
	"the cluster by name":    {func(r *csi.CreateVolumeRequest) { r.Parameters["cluster"] = "main" }, 4 * mib},
	"empty topology":         {func(r *csi.CreateVolumeRequest) { r.AccessibilityRequirements = &csi.TopologyRequirement{} }, 4 * mib},
	"file system said once":  {func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities = append(r.VolumeCapabilities, fsType("xfs")) }, 4 * mib},
	"writer and reader": {func(r *csi.CreateVolumeRequest) {
		r.VolumeCapabilities = append(r.VolumeCapabilities, mounted(manyReaders))
	}, 4 * mib},
	"golden, less than its size": {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "m:v1" }, 8 * mib},
	"golden, larger": {func(r *csi.CreateVolumeRequest) {
		r.Parameters["golden"], r.CapacityRange.RequiredBytes = "m:v1", 16*mib
	}, 16 * mib},
	"EROFS golden, readers": {func(r *csi.CreateVolumeRequest) {
		r.Parameters["golden"], r.VolumeCapabilities[0] = "e:v1", mounted(manyReaders)
	}, 8 * mib},
	"granted golden": {func(r *csi.CreateVolumeRequest) {
		r.Parameters["golden"], r.VolumeCapabilities[0] = "public/p:v1", mounted(nodeReader)
	}, 8 * mib},
	"own golden by its tenant": {func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "acme/m:v1" }, 8 * mib},
	"golden as a block": {func(r *csi.CreateVolumeRequest) {
		r.Parameters["golden"], r.VolumeCapabilities[0] = "m:v1", block(multiWriter)
	}, 8 * mib},
}

// A good request gives a volume; its retry gives the same one, in other words
// too; deleting it leaves nothing.
func TestCreateVolumeServes(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "m:v1", "ext4", 8*mib)
	r.golden(t, "acme-prod", "e:v1", "erofs", 8*mib)
	r.golden(t, "public", "p:v1", "erofs", 8*mib)
	at := r.place(t, "acme-prod")
	before := strings.Join(r.ceph.Contents(at), "\n")
	for name, tc := range goodCreations {
		t.Run(name, func(t *testing.T) {
			req := blank("good")
			tc.change(req)
			v := r.create(t, req)
			if want := volume.NewID(volume.RBD, "main", "acme", req.GetName()).String(); v.GetVolumeId() != want {
				t.Errorf("ID %q, want %q", v.GetVolumeId(), want)
			}
			if v.GetCapacityBytes() != tc.capacity || v.GetContentSource() != nil || len(v.GetVolumeContext()) != 0 {
				t.Errorf("answer %v, want capacity %d and nothing else", v, tc.capacity)
			}
			if again := r.create(t, req); again.String() != v.String() {
				t.Errorf("the retry answers %v, not %v", again, v)
			}
			for range 2 {
				if _, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()}); err != nil {
					t.Error(err)
				}
			}
			if after := strings.Join(r.ceph.Contents(at), "\n"); after != before {
				t.Errorf("left in Ceph:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// A retry that asks for something else is a conflict, and the volume stays.
func TestCreateVolumeConflicts(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "m:v1", "ext4", 8*mib)
	r.golden(t, "acme-prod", "m:v2", "ext4", 8*mib)
	base := func() *csi.CreateVolumeRequest {
		req := blank("one")
		req.Parameters["golden"] = "m:v1"
		return req
	}
	v := r.create(t, base())
	for name, change := range map[string]func(*csi.CreateVolumeRequest){
		"larger":          func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 9 * mib },
		"read-only":       func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = mounted(manyReaders) },
		"block":           func(r *csi.CreateVolumeRequest) { r.VolumeCapabilities[0] = block(multiWriter) },
		"another version": func(r *csi.CreateVolumeRequest) { r.Parameters["golden"] = "m:v2" },
		"blank":           func(r *csi.CreateVolumeRequest) { delete(r.Parameters, "golden") },
		"prefetch":        func(r *csi.CreateVolumeRequest) { r.Parameters["prefetch"] = "all" },
		"share":           func(r *csi.CreateVolumeRequest) { r.Parameters["share"] = "clone" },
	} {
		t.Run(name, func(t *testing.T) {
			req := base()
			change(req)
			_, err := r.CreateVolume(t.Context(), req)
			wantCode(t, err, codes.AlreadyExists)
		})
	}
	if again := r.create(t, base()); again.String() != v.String() {
		t.Errorf("the volume became %v", again)
	}
	// What has happened to its golden since does not matter to a retry.
	delete(r.shelf, "acme/m:v1")
	if again := r.create(t, base()); again.String() != v.String() {
		t.Errorf("without its golden the retry answers %v", again)
	}
}

// A dataSource wins over the class's golden and is told in the answer.
func TestCreateVolumeFromSource(t *testing.T) {
	r := newRig(t)
	r.golden(t, "acme-prod", "m:v1", "ext4", 8*mib)
	source := r.create(t, blank("source"))
	snap := r.snapshot(t, "snap", source.GetVolumeId())
	for name, from := range map[string]*csi.VolumeContentSource{
		"volume":   fromVolume(source.GetVolumeId()),
		"snapshot": fromSnapshot(snap.GetSnapshotId()),
	} {
		t.Run(name, func(t *testing.T) {
			req := blank("copy-of-" + name)
			req.Parameters["golden"], req.VolumeContentSource = "m:v1", from
			v := r.create(t, req)
			if v.GetContentSource().String() != from.String() {
				t.Errorf("content source %v, want %v", v.GetContentSource(), from)
			}
			if v.GetCapacityBytes() != 4*mib {
				t.Errorf("capacity %d, want the source's", v.GetCapacityBytes())
			}
			req.Name, req.CapacityRange = "limited", &csi.CapacityRange{LimitBytes: 2 * mib}
			_, err := r.CreateVolume(t.Context(), req)
			wantCode(t, err, codes.OutOfRange)
			req.Name, req.CapacityRange, req.VolumeCapabilities[0] = "block", nil, block(multiWriter)
			_, err = r.CreateVolume(t.Context(), req)
			wantCode(t, err, codes.InvalidArgument)
		})
	}
}

// Requests without a namespace go to the default tenant, where there is one.
func TestDefaultTenant(t *testing.T) {
	r := newRig(t, func(co *driver.ControllerOptions, _ *driver.NodeOptions) { co.DefaultTenant = "globex" })
	req := blank("one")
	delete(req.Parameters, namespaceKey)
	if v := r.create(t, req); !strings.Contains(v.GetVolumeId(), ".globex.") {
		t.Errorf("ID %s is not of the default tenant", v.GetVolumeId())
	}
	if v := r.create(t, blank("one")); !strings.Contains(v.GetVolumeId(), ".acme.") {
		t.Errorf("ID %s is not of the namespace's tenant", v.GetVolumeId())
	}
}
