// Ingress stands in for Knative's ingress, of which none is installed: it says
// of every ingress of its class that the network leads to it, so that routes
// become ready. It routes nothing: requests go to the activator, with the
// headers that an ingress would have set.
package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/networking/pkg/apis/networking/v1alpha1"
	"knative.dev/networking/pkg/client/clientset/versioned"
	"knative.dev/networking/pkg/client/informers/externalversions"
)

const (
	// class is what config-network names.
	class = "test.ingress.networking.knative.dev"
	// activator is where routes' own Services lead.
	activator = "activator-service.knative-serving.svc.cluster.local"
	// again is after how long an ingress that could not be written is retried.
	again = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, err := rest.InClusterConfig()
	if err != nil {
		log.Fatal("ingress: ", err)
	}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		log.Fatal("ingress: ", err)
	}
	if err := watch(ctx, client); err != nil {
		log.Fatal("ingress: ", err)
	}
}

// watch declares ingresses ready until the context ends.
func watch(ctx context.Context, client versioned.Interface) error {
	informer := externalversions.NewSharedInformerFactory(client, again).Networking().V1alpha1().Ingresses().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { declare(ctx, client, object) },
		UpdateFunc: func(_, object any) { declare(ctx, client, object) },
	})
	if err != nil {
		return err
	}
	informer.RunWithContext(ctx)
	return nil
}

// declare writes that an ingress is ready, unless it says so already or is
// another's. What fails is tried again when the informer repeats itself.
func declare(ctx context.Context, client versioned.Interface, object any) {
	ingress, ok := object.(*v1alpha1.Ingress)
	if !ok || ingress.Annotations[networking.IngressClassAnnotationKey] != class || ingress.IsReady() {
		return
	}
	_, err := client.NetworkingV1alpha1().Ingresses(ingress.Namespace).UpdateStatus(ctx, ready(ingress), metav1.UpdateOptions{})
	if err != nil {
		log.Printf("ingress: declare %s/%s ready: %v", ingress.Namespace, ingress.Name, err)
	}
}

// ready is the ingress with the status that a real one gives it.
func ready(ingress *v1alpha1.Ingress) *v1alpha1.Ingress {
	balancers := []v1alpha1.LoadBalancerIngressStatus{{DomainInternal: activator}}
	ingress = ingress.DeepCopy()
	ingress.Status.InitializeConditions()
	ingress.Status.MarkNetworkConfigured()
	ingress.Status.MarkLoadBalancerReady(balancers, balancers)
	ingress.Status.ObservedGeneration = ingress.Generation
	return ingress
}
