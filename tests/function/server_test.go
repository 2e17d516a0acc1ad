package function

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

const python = "/usr/bin/python3"

// answer is what the function says of an image.
type answer struct {
	Started, Imported, Loaded, Received, Answered float64
	LoadSeconds                                   float64 `json:"load_seconds"`
	ExecutionSeconds                              float64 `json:"execution_seconds"`
	PID                                           int
	Top                                           [][2]float64
	Digest                                        string
}

// script runs a program of hack/function to its end.
func script(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, append([]string{filepath.Join("../../hack/function", name)}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// model makes a small model.
func model(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "model.h5")
	script(t, "model.py", path, "--size", "12000000")
	return path
}

// start runs the server and returns its URL.
func start(t *testing.T, model string) string {
	t.Helper()
	cmd := exec.Command(python, "../../hack/function/server.py")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PORT=0", "MODEL="+model)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, cmd) })
	var port int
	if _, err := fmt.Fscanf(bufio.NewReader(out), "port %d\n", &port); err != nil {
		t.Fatalf("read the server's port: %v", err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// end stops the server as a kubelet does. It has nothing to finish.
func end(t *testing.T, cmd *exec.Cmd) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ends with %v", err)
	}
}

// post sends an image and returns the status and the body.
func post(t *testing.T, url string, image []byte) (int, []byte) {
	t.Helper()
	r, err := http.Post(url, "application/octet-stream", bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, body
}

func classify(t *testing.T, url string, image []byte) (a answer) {
	t.Helper()
	status, body := post(t, url, image)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// picture is a PPM of one colour per column.
func picture(width, height int) []byte {
	image := fmt.Appendf(nil, "P6\n%d %d\n255\n", width, height)
	for i := range width * height {
		image = append(image, byte(i%width), byte(i%width*3), byte(i%width*7))
	}
	return image
}

func TestServersOfOneModelAgree(t *testing.T) {
	path := model(t)
	image := picture(100, 80)
	first, second := start(t, path), start(t, path)
	a, b := classify(t, first, image), classify(t, second, image)
	if a.Digest != b.Digest || !reflect.DeepEqual(a.Top, b.Top) || a.PID == b.PID {
		t.Errorf("two servers of one model answer\n%+v\n%+v", a, b)
	}
	if again := classify(t, first, image); again.Digest != a.Digest || again.Loaded != a.Loaded {
		t.Errorf("the second answer is\n%+v\nthe first was\n%+v", again, a)
	}
	if other := classify(t, first, picture(64, 64)); other.Digest == a.Digest {
		t.Error("another image has the same probabilities")
	}
	if len(a.Top) != 5 || len(a.Digest) != 64 {
		t.Errorf("got %+v", a)
	}
}

func TestTimesAreInOrder(t *testing.T) {
	a := classify(t, start(t, model(t)), make([]byte, 3*64*64*4))
	// The kernel tells when a process was made in hundredths of a second.
	const tick = 0.02
	if a.Started > a.Imported+tick || a.Imported > a.Loaded || a.Loaded > a.Answered || a.Received > a.Answered {
		t.Errorf("times out of order: %+v", a)
	}
	if a.LoadSeconds <= 0 || a.ExecutionSeconds <= 0 || a.ExecutionSeconds > a.Answered-a.Received {
		t.Errorf("durations: %+v", a)
	}
}

func TestRefusals(t *testing.T) {
	url := start(t, model(t))
	absent := start(t, filepath.Join(t.TempDir(), "absent.h5"))
	notNumbers := bytes.Repeat([]byte{0xff}, 3*64*64*4)
	for name, c := range map[string]struct {
		url    string
		image  []byte
		status int
		says   string
	}{
		"empty":        {url, nil, http.StatusBadRequest, "an image is a PPM"},
		"text":         {url, []byte("cat.png"), http.StatusBadRequest, "an image is a PPM"},
		"no numbers":   {url, notNumbers, http.StatusBadRequest, "no numbers"},
		"short PPM":    {url, picture(9, 9)[:100], http.StatusBadRequest, "PPM of 9 x 9"},
		"PPM of none":  {url, []byte("P6 0 0 255\n"), http.StatusBadRequest, "PPM of 0 x 0"},
		"absent model": {absent, picture(9, 9), http.StatusInternalServerError, "load the model"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := post(t, c.url, c.image)
			if status != c.status || !strings.Contains(string(body), c.says) {
				t.Errorf("status %d: %s; want %d and %q", status, body, c.status, c.says)
			}
		})
	}
}

// TestReadyWithoutTheModel: a platform must not wait for the model, and a
// request then tells what is wrong with it.
func TestReadyWithoutTheModel(t *testing.T) {
	r, err := http.Get(start(t, filepath.Join(t.TempDir(), "absent.h5")) + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("status %d", r.StatusCode)
	}
}

func TestOnce(t *testing.T) {
	path := model(t)
	var first, second struct {
		Top    [][2]float64
		Sha256 string
	}
	for _, r := range []any{&first, &second} {
		if err := json.Unmarshal(script(t, "once.py", path, "--digest"), r); err != nil {
			t.Fatal(err)
		}
	}
	if len(first.Top) != 3 || len(first.Sha256) != 64 || !reflect.DeepEqual(first, second) {
		t.Errorf("one model gives %+v and %+v", first, second)
	}
}
