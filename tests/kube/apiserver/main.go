// A Kubernetes API server for tests, made of upstream's own libraries.
//
// It serves CustomResourceDefinitions exactly as Kubernetes does (CEL, pruning, defaults, status
// subresource, watch, server-side apply), and admission webhooks. The built-in kinds in kinds.go are
// stored and watched, but nothing acts on them: there are no controllers and no garbage collection.
// Whoever has a token may do everything, unless roles are asked for: see rbac.go.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/trace/noop"

	corev1 "k8s.io/api/core/v1"
	crdv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	crdoptions "k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	crdopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	webhookinit "k8s.io/apiserver/pkg/admission/plugin/webhook/initializer"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/token/tokenfile"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kube-openapi/pkg/common"
	openapiutil "k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

func main() {
	if err := run(genericserver.SetupSignalContext()); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	given, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	config, hooks, err := given.config()
	if err != nil {
		return err
	}
	crds := &crdserver.Config{GenericConfig: config, ExtraConfig: crdserver.ExtraConfig{
		CRDRESTOptionsGetter: crdoptions.NewCRDRESTOptionsGetter(*given.etcd, config.ResourceTransformers, config.StorageObjectCountTracker),
		ServiceResolver:      hooks.services,
		AuthResolverWrapper:  hooks.credentials,
	}}
	complete := crds.Complete()
	complete.GenericConfig.EnableDiscovery = true // Complete leaves it to an aggregator
	server, err := complete.New(genericserver.NewEmptyDelegate())
	if err != nil {
		return err
	}
	if err := installKinds(server.GenericAPIServer, given.etcd, config); err != nil {
		return err
	}
	if err := announceGroups(server); err != nil {
		return err
	}
	server.GenericAPIServer.AddPostStartHookOrDie("namespaces", makeNamespaces)
	return server.GenericAPIServer.PrepareRun().RunWithContext(ctx)
}

// given holds the options of upstream's server that are of use here.
type given struct {
	run       *options.ServerRunOptions
	etcd      *options.EtcdOptions
	serving   *options.SecureServingOptionsWithLoopback
	features  *options.FeatureOptions
	admission *options.AdmissionOptions
	enabled   *options.APIEnablementOptions
	tokens    string
	mode      string
}

func parse(arguments []string) (*given, error) {
	codec := crdserver.Codecs.LegacyCodec(v1beta1.SchemeGroupVersion, crdv1.SchemeGroupVersion)
	g := &given{
		run:       options.NewServerRunOptions(),
		etcd:      options.NewEtcdOptions(storagebackend.NewDefaultConfig("/registry", codec)),
		serving:   options.NewSecureServingOptions().WithLoopback(),
		features:  options.NewFeatureOptions(),
		admission: options.NewAdmissionOptions(),
		enabled:   options.NewAPIEnablementOptions(),
	}
	// These want kinds of their own.
	g.features.EnablePriorityAndFairness = false
	g.admission.DisablePlugins = []string{"ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"}
	flags := pflag.NewFlagSet("apiserver", pflag.ContinueOnError)
	flags.StringVar(&g.tokens, "token-auth-file", "", "CSV: token,user,uid,\"group,...\"")
	flags.StringVar(&g.mode, "authorization-mode", "AlwaysAllow", "AlwaysAllow or RBAC")
	g.run.AddUniversalFlags(flags)
	g.etcd.AddFlags(flags)
	g.serving.AddFlags(flags)
	g.features.AddFlags(flags)
	g.admission.AddFlags(flags)
	g.enabled.AddFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if g.tokens == "" {
		return nil, errors.New("give --token-auth-file")
	}
	if err := g.run.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	if err := g.run.Complete(); err != nil {
		return nil, err
	}
	return g, g.serving.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{net.IPv4(127, 0, 0, 1)})
}

// webhooks says how the server reaches a webhook: where its Service is, and with which credentials.
type webhooks struct {
	services    serviceResolver
	credentials webhook.AuthenticationInfoResolverWrapper
}

// serviceResolver turns a Service into its cluster IP. Nobody forwards to endpoints here, so a test gives
// the Service the address at which its webhook listens.
type serviceResolver struct{ services corelisters.ServiceLister }

func (r serviceResolver) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return proxy.ResolveCluster(r.services, namespace, name, port)
}

// config applies the options. There is no delegated authentication and no kubeconfig: the server is its own
// and only client, over the loopback connection.
func (g *given) config() (*genericserver.RecommendedConfig, *webhooks, error) {
	config := genericserver.NewRecommendedConfig(crdserver.Codecs)
	if err := errors.Join(
		g.run.ApplyTo(&config.Config),
		g.etcd.ApplyTo(&config.Config),
		g.serving.ApplyToConfig(&config.Config),
	); err != nil {
		return nil, nil, err
	}
	tokens, err := tokenfile.NewCSV(g.tokens)
	if err != nil {
		return nil, nil, err
	}
	config.Authentication.Authenticator = group.NewAuthenticatedGroupAdder(bearertoken.New(tokens))
	config.Authorization.Authorizer = authorizerfactory.NewAlwaysAllowAuthorizer()

	config.ClientConfig = config.LoopbackClientConfig
	client, err := kubernetes.NewForConfig(config.ClientConfig)
	if err != nil {
		return nil, nil, err
	}
	dynamicClient, err := dynamic.NewForConfig(config.ClientConfig)
	if err != nil {
		return nil, nil, err
	}
	config.SharedInformerFactory = informers.NewSharedInformerFactory(client, 10*time.Minute)
	hooks := &webhooks{
		serviceResolver{config.SharedInformerFactory.Core().V1().Services().Lister()},
		webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, config.ClientConfig, noop.NewTracerProvider()),
	}
	if g.mode == "RBAC" {
		config.Authorization.Authorizer = newRoleBased(config.SharedInformerFactory)
	}
	resources := crdserver.DefaultAPIResourceConfigSource()
	for _, k := range kinds {
		resources.EnableVersions(k.version)
	}
	if err := errors.Join(
		g.features.ApplyTo(&config.Config, client, config.SharedInformerFactory),
		g.admission.ApplyTo(
			&config.Config, config.SharedInformerFactory, client, dynamicClient,
			g.run.ComponentGlobalsRegistry.FeatureGateFor("kube"), config.EffectiveVersion,
			admission.PluginInitializer(webhookinit.NewPluginInitializer(hooks.credentials, hooks.services)),
		),
		g.enabled.ApplyTo(&config.Config, resources, crdserver.Scheme),
	); err != nil {
		return nil, nil, err
	}
	// The schemas of CRDs are published only where the older format is served as well.
	namer := openapinamer.NewDefinitionNamer(crdserver.Scheme, scheme)
	config.OpenAPIConfig = genericserver.DefaultOpenAPIConfig(definitions, namer)
	config.OpenAPIV3Config = genericserver.DefaultOpenAPIV3Config(definitions, namer)
	config.BuildHandlerChainFunc = withoutClosingSlash(config.BuildHandlerChainFunc)
	return config, hooks, nil
}

type chainBuilder func(http.Handler, *genericserver.Config) http.Handler

// withoutClosingSlash accepts /version/ and /api/, which clients ask for and Debian's go-restful refuses.
func withoutClosingSlash(build chainBuilder) chainBuilder {
	return func(api http.Handler, config *genericserver.Config) http.Handler {
		inner := build(api, config)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(r.URL.Path) > 1 {
				r.URL.Path = strings.TrimRight(r.URL.Path, "/")
			}
			inner.ServeHTTP(w, r)
		})
	}
}

// definitions adds the built-in kinds, of which Debian has no generated OpenAPI, as objects of any fields.
func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	all := crdopenapi.GetOpenAPIDefinitions(ref)
	anything := common.OpenAPIDefinition{Schema: spec.Schema{
		SchemaProps:      spec.SchemaProps{Type: []string{"object"}},
		VendorExtensible: spec.VendorExtensible{Extensions: spec.Extensions{"x-kubernetes-preserve-unknown-fields": true}},
	}}
	for _, k := range kinds {
		for _, object := range []runtime.Object{k.object, k.list} {
			all[openapiutil.GetCanonicalTypeName(object)] = anything
		}
	}
	return all
}

// announceGroups lists the groups of CRDs in /apis, which upstream leaves to an aggregator.
func announceGroups(server *crdserver.CustomResourceDefinitions) error {
	announce := func(object any) {
		crd, ok := object.(*crdv1.CustomResourceDefinition)
		if !ok {
			return
		}
		group := metav1.APIGroup{Name: crd.Spec.Group}
		for _, version := range crd.Spec.Versions {
			if version.Served {
				gv := schema.GroupVersion{Group: crd.Spec.Group, Version: version.Name}
				group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version})
			}
		}
		if len(group.Versions) > 0 {
			group.PreferredVersion = group.Versions[0]
			server.GenericAPIServer.DiscoveryGroupManager.AddGroup(group)
		}
	}
	informer := server.Informers.Apiextensions().V1().CustomResourceDefinitions().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: announce, UpdateFunc: func(_, object any) { announce(object) },
	})
	return err
}

// makeNamespaces creates those that every cluster has, in the background: the server has to be up for it.
func makeNamespaces(hook genericserver.PostStartHookContext) error {
	client, err := kubernetes.NewForConfig(hook.LoopbackClientConfig)
	if err != nil {
		return err
	}
	go func() {
		for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			for hook.Err() == nil {
				_, err := client.CoreV1().Namespaces().Create(hook, namespace, metav1.CreateOptions{})
				if err == nil || apierrors.IsAlreadyExists(err) {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	return nil
}
