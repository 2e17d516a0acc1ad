package main

import (
	"context"
	"net/http"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/sirupsen/logrus"
)

// newImages returns a registry of the images in a directory. Its log
// is off: a layer that is not there yet is an error to it, and who asked is told.
func newImages(ctx context.Context, dir string, readOnly bool) http.Handler {
	logrus.SetLevel(logrus.FatalLevel)
	return handlers.NewApp(ctx, &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem": {"rootdirectory": dir},
			"maintenance": {
				"readonly": map[any]any{"enabled": readOnly},
				// Uploads that broke off are no concern here.
				"uploadpurging": map[any]any{"enabled": false},
			},
		},
	})
}
