// Command figures writes what docs/performance.md shows of cold starts: tables
// between two marks, and plots. It reads bench/out/coldstart.json, so that a
// page can be written again without measuring again:
//
//	figures bench/out/coldstart.json docs
//
// Where the directory has no performance.md, coldstart.md is written there.
package main
