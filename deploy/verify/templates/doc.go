// Package templates makes Helm templates of manifests: it puts the chart's
// values where the manifests have their defaults. It renders nothing.
package templates
