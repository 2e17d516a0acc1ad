package mounter

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// files are one of each kind that an order can have.
func files(t *testing.T) (memory, socket, pipe *os.File) {
	t.Helper()
	memory, err := InMemory("key", "k")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(pair[0])
	socket = os.NewFile(uintptr(pair[1]), "control")
	pipe, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll([]*os.File{memory, socket, pipe, write}) })
	return memory, socket, pipe
}

// stateOf makes a state directory with a place, a file, and a link out of it.
func stateOf(t *testing.T) (state, place string) {
	t.Helper()
	state = filepath.Join(t.TempDir(), "a state")
	place = filepath.Join(state, "cephfs", "place")
	for _, err := range []error{
		os.MkdirAll(place, 0o700), os.WriteFile(filepath.Join(state, "file"), nil, 0o600), os.Symlink("/", filepath.Join(state, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return state, place
}

func nbdWords() []string {
	return []string{
		"map", "--conf", "/dev/null", "--mon-host", "[v2:192.0.2.1:3300],[v2:[2001:db8::1]:3300]", "--id", "sdp.acme", "--keyfile", KeyPath,
		"--rbd-cache", "false", "--client-mount-timeout", "15", "--try-netlink", "--read-only", "rbd/acme/vol.0a@sealed",
	}
}

func cephFUSEWords(place string) []string {
	return []string{
		"--conf=/dev/null", "--mon-host=[v2:192.0.2.1:3300]", "--id=sdp.acme", "--keyfile=" + KeyPath, "--client_fs=cephfs",
		"--client_mountpoint=/volumes/acme/x", "--log-file=", "--admin-socket=", "--client_mount_timeout=30", "--no-mon-config",
		"--daemonize=false", "--client_oc_size=100663296", "--client_readahead_min=8388608", "--debug_client=0", "-o", "fsname=sdp-cephfs@f.cephfs=/volumes/acme/x,nodev,nosuid", place,
	}
}

// told are ceph-fuse's words with one of them changed.
func told(place, word, to string) []string {
	words := cephFUSEWords(place)
	words[slices.Index(words, word)] = to
	return words
}

// turned has the options the other way round.
func turned(words []string) []string {
	slices.Reverse(words[:len(words)-3])
	return words
}

func TestCheckTakesWhatMappersSay(t *testing.T) {
	memory, socket, _ := files(t)
	state, place := stateOf(t)
	for name, o := range map[string]Order{
		"export":       {Program: Export, Arguments: []string{place}, Files: []*os.File{socket}, Flusher: true},
		"map":          {Program: NBD, Arguments: nbdWords(), Files: []*os.File{memory}, Label: "sdp:f/5/rbd/acme/vol.0a"},
		"unmap":        {Program: NBD, Arguments: []string{"unmap", "/dev/nbd12"}},
		"file system":  {Program: CephFUSE, Arguments: cephFUSEWords(place), Files: []*os.File{memory}},
		"in any order": {Program: CephFUSE, Arguments: turned(cephFUSEWords(place)), Files: []*os.File{memory}},
	} {
		o.Output = memory
		if err := o.Check(state); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Words that would make a program do something else, or somewhere else.
func TestCheckRefuses(t *testing.T) {
	memory, socket, pipe := files(t)
	state, place := stateOf(t)
	key := []*os.File{memory}
	nbd := func(at int, word string) Order {
		words := nbdWords()
		words[at] = word
		return Order{Program: NBD, Arguments: words, Files: key}
	}
	fuse := func(words ...string) Order {
		return Order{Program: CephFUSE, Arguments: append(words, cephFUSEWords(place)...), Files: key}
	}
	export := func(words ...string) Order {
		return Order{Program: Export, Arguments: words, Files: []*os.File{socket}}
	}
	for name, o := range map[string]Order{
		"no program":            {Arguments: []string{place}, Files: []*os.File{socket}},
		"a shell":               {Program: "sh", Arguments: []string{"-c", "id"}},
		"a path":                {Program: "/usr/bin/rbd-nbd", Arguments: nbdWords(), Files: key},
		"a path to it":          {Program: "../bin/sdp-export", Arguments: []string{place}, Files: []*os.File{socket}},
		"no place":              export(),
		"two places":            export(place, place),
		"outside":               export("/etc"),
		"the state directory":   export(state),
		"beside it":             export(state + "-not"),
		"out of it":             export(state + "/../../etc"),
		"with a detour":         export(state + "/cephfs/../cephfs/place"),
		"relative":              export("cephfs/place"),
		"a file":                export(state + "/file"),
		"a link out":            export(state + "/link"),
		"nothing there":         export(state + "/nothing"),
		"a flag":                export("--help"),
		"another command":       nbd(0, "attach"),
		"a config":              nbd(2, "/tmp/ceph.conf"),
		"a monitor's flag":      nbd(4, "--log-file=/etc/passwd"),
		"a name with a blank":   nbd(6, "admin --log-file x"),
		"a key elsewhere":       nbd(8, "/etc/ceph/key"),
		"an access of its own":  nbd(14, "--device=/dev/sda"),
		"an image's flag":       nbd(15, "--exec=sh"),
		"an image with a comma": nbd(15, "rbd/a,b"),
		"a line":                nbd(15, "rbd/a\nb"),
		"no image":              {Program: NBD, Arguments: nbdWords()[:15], Files: key},
		"one word more":         {Program: NBD, Arguments: append(nbdWords(), "--log-file=x"), Files: key},
		"no words":              {Program: NBD},
		"unmap a disk":          {Program: NBD, Arguments: []string{"unmap", "/dev/sda"}},
		"unmap elsewhere":       {Program: NBD, Arguments: []string{"unmap", "/dev/nbd/../sda"}},
		"unmap with a key":      {Program: NBD, Arguments: []string{"unmap", "/dev/nbd0"}, Files: key},
		"a log":                 fuse("--log-file=/etc/passwd"),
		"another log":           fuse("--log_file=/etc/passwd"),
		"a plug-in":             fuse("--plugin_dir=/tmp"),
		"a short flag":          fuse("-d"),
		"an option":             fuse("-o", "allow_other"),
		"twice":                 fuse("--id=other"),
		"a root with a detour":  {Program: CephFUSE, Arguments: told(place, "--client_mountpoint=/volumes/acme/x", "--client_mountpoint=/a/../b"), Files: key},
		"a device":              {Program: CephFUSE, Arguments: told(place, "fsname=sdp-cephfs@f.cephfs=/volumes/acme/x,nodev,nosuid", "fsname=x,dev,suid"), Files: key},
		"no place but options":  {Program: CephFUSE, Arguments: told(place, place, "/etc"), Files: key},
		"no config":             {Program: CephFUSE, Arguments: []string{"--keyfile=" + KeyPath, place}, Files: key},
		"nothing":               {Program: CephFUSE, Files: key},
		"no key":                {Program: CephFUSE, Arguments: cephFUSEWords(place)},
		"two keys":              {Program: NBD, Arguments: nbdWords(), Files: []*os.File{memory, memory}},
		"a pipe":                {Program: NBD, Arguments: nbdWords(), Files: []*os.File{pipe}},
		"a file for a socket":   {Program: Export, Arguments: []string{place}, Files: key},
		"a label of two lines":  {Program: Export, Arguments: []string{place}, Files: []*os.File{socket}, Label: "a\nb"},
		"a label with a NUL":    {Program: Export, Arguments: []string{place}, Files: []*os.File{socket}, Label: "a\x00PATH=/tmp"},
		"a long label":          {Program: Export, Arguments: []string{place}, Files: []*os.File{socket}, Label: strings.Repeat("l", maxLabel+1)},
	} {
		o.Output = memory
		if err := o.Check(state); !errors.Is(err, volume.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, output := range map[string]*os.File{"none": nil, "a socket": socket} {
		o := export(place)
		o.Output = output
		if err := o.Check(state); !errors.Is(err, volume.ErrInvalid) {
			t.Errorf("output, %s: %v", name, err)
		}
	}
}

// FuzzRequest: whatever is written to the socket, what is started is one of
// the programs, in a place of ours, with its key's file.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `[]`, `null`, `{"Program":"sdp-export","Arguments":["/state/place"]}`, `{"Program":"sh","Arguments":["-c","id"]}`,
		`{"Program":"rbd-nbd","Arguments":["unmap","/dev/nbd0"]}`, `{"Program":"ceph-fuse","Arguments":["--conf=/dev/null","/x"]}`,
		`{"Program":7}`, `{"Program":"sdp-export","Arguments":[`, `{"Label":"a\u0000b"}`,
	} {
		f.Add([]byte(seed), uint8(1))
	}
	state := f.TempDir()
	place := filepath.Join(state, "place")
	if err := os.Mkdir(place, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte, count uint8) {
		memory, socket, _ := files(t)
		var r request
		if decode(text, &r) != nil {
			return
		}
		o := Order{Program: r.Program, Arguments: r.Arguments, Label: r.Label, Output: memory}
		for range count % 3 {
			o.Files = append(o.Files, socket)
		}
		if o.Check(state) != nil {
			return
		}
		unmap := o.Program == NBD && len(o.Arguments) == 2 && strings.HasPrefix(o.Arguments[1], "/dev/nbd") && len(o.Files) == 0
		mount := o.Program == Export && slices.Equal(o.Arguments, []string{place}) && len(o.Files) == 1
		if !unmap && !mount || strings.ContainsAny(o.Label, "\x00\n") {
			t.Errorf("takes %+v", o)
		}
	})
}
