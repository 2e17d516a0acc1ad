// Package wire is what the fuse mapper and its exporter processes agree on:
// the messages of the inherited socket (one request, which has the key and so
// never touches argv, environment or a file, and one reply), how a mount's
// source names what it shows, and the lock that names the serving process.
package wire
