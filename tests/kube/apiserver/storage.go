package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	genericserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
)

// installKinds serves every built-in kind, below /api and /apis.
func installKinds(server *genericserver.GenericAPIServer, etcd *options.EtcdOptions, config *genericserver.RecommendedConfig) error {
	versions := map[schema.GroupVersion]map[string]rest.Storage{}
	for _, k := range kinds {
		mine := *etcd
		mine.StorageConfig.Codec = codecs.LegacyCodec(k.version)
		mine.StorageConfig.EncodeVersioner = k.version
		factory := &options.SimpleStorageFactory{StorageConfig: mine.StorageConfig}
		whole, status, err := k.storages(mine.CreateRESTOptionsGetter(factory, config.ResourceTransformers))
		if err != nil {
			return err
		}
		if versions[k.version] == nil {
			versions[k.version] = map[string]rest.Storage{}
		}
		versions[k.version][k.plural] = whole
		if status != nil {
			versions[k.version][k.plural+"/status"] = status
		}
	}
	for version, resources := range versions {
		info := genericserver.NewDefaultAPIGroupInfo(version.Group, scheme, metav1.ParameterCodec, codecs)
		info.PrioritizedVersions = []schema.GroupVersion{version}
		info.VersionedResourcesStorageMap[version.Version] = resources
		install := server.InstallAPIGroup
		if version.Group == "" {
			install = func(info *genericserver.APIGroupInfo) error {
				return server.InstallLegacyAPIGroup(genericserver.DefaultLegacyAPIPrefix, info)
			}
		}
		if err := install(&info); err != nil {
			return err
		}
	}
	return nil
}

// storages returns the storage of a kind, and that of its status subresource where it has a status.
func (k kind) storages(getter generic.RESTOptionsGetter) (rest.Storage, rest.Storage, error) {
	resource := schema.GroupResource{Group: k.version.Group, Resource: k.plural}
	plan := strategy{scheme, names.SimpleNameGenerator, k.namespaced, "Status"}
	store := &registry.Store{
		NewFunc:                   func() runtime.Object { return newLike(k.object) },
		NewListFunc:               func() runtime.Object { return newLike(k.list) },
		DefaultQualifiedResource:  resource,
		SingularQualifiedResource: schema.GroupResource{Group: k.version.Group, Resource: k.singular},
		CreateStrategy:            plan,
		UpdateStrategy:            plan,
		DeleteStrategy:            plan,
		TableConvertor:            rest.NewDefaultTableConvertor(resource),
		PredicateFunc: func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
			return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: k.attributes}
		},
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: getter, AttrFunc: k.attributes}); err != nil {
		return nil, nil, err
	}
	whole := named{store, k.short}
	if _, ok := part(k.object, "Status"); !ok {
		return whole, nil, nil
	}
	copied := *store
	plan.keeps = "Spec"
	copied.UpdateStrategy = plan
	return whole, onlyStatus{&copied}, nil
}

func newLike(object runtime.Object) runtime.Object {
	return reflect.New(reflect.TypeOf(object).Elem()).Interface().(runtime.Object)
}

// attributes returns what selectors see of an object.
func (k kind) attributes(object runtime.Object) (labels.Set, fields.Set, error) {
	m, err := meta.Accessor(object)
	if err != nil {
		return nil, nil, err
	}
	found := fields.Set{"metadata.name": m.GetName()}
	if k.namespaced {
		found["metadata.namespace"] = m.GetNamespace()
	}
	if len(k.fields) == 0 {
		return m.GetLabels(), found, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range k.fields {
		switch value, ok, _ := unstructured.NestedFieldNoCopy(content, strings.Split(path, ".")...); {
		case ok:
			found[path] = fmt.Sprint(value)
		case path == "spec.unschedulable" || path == "spec.hostNetwork":
			found[path] = "false"
		default:
			found[path] = ""
		}
	}
	return m.GetLabels(), found, nil
}

// part returns a field of an object by its Go name.
func part(object runtime.Object, name string) (reflect.Value, bool) {
	value := reflect.ValueOf(object).Elem().FieldByName(name)
	return value, value.IsValid()
}

// strategy takes every object as it is; an update leaves one part as it was, and counts generations.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	namespaced bool
	keeps      string // "Status", or "Spec" for the status subresource
}

func (s strategy) NamespaceScoped() bool          { return s.namespaced }
func (s strategy) AllowCreateOnUpdate() bool      { return false }
func (s strategy) AllowUnconditionalUpdate() bool { return true }
func (s strategy) Canonicalize(runtime.Object)    {}

func (s strategy) Validate(context.Context, runtime.Object) field.ErrorList { return nil }
func (s strategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}
func (s strategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }
func (s strategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s strategy) PrepareForCreate(_ context.Context, object runtime.Object) {
	if _, ok := part(object, "Spec"); ok {
		m, _ := meta.Accessor(object)
		m.SetGeneration(1)
	}
	if namespace, ok := object.(*corev1.Namespace); ok {
		namespace.Status.Phase = corev1.NamespaceActive
	}
	encodeSecret(object)
}

func (s strategy) PrepareForUpdate(_ context.Context, object, old runtime.Object) {
	encodeSecret(object)
	if value, ok := part(object, s.keeps); ok {
		was, _ := part(old, s.keeps)
		value.Set(was)
	}
	m, _ := meta.Accessor(object)
	before, _ := meta.Accessor(old)
	m.SetGeneration(before.GetGeneration())
	if spec, ok := part(object, "Spec"); ok {
		if was, _ := part(old, "Spec"); !equality.Semantic.DeepEqual(spec.Interface(), was.Interface()) {
			m.SetGeneration(before.GetGeneration() + 1)
		}
	}
}

// encodeSecret moves stringData into data.
func encodeSecret(object runtime.Object) {
	secret, ok := object.(*corev1.Secret)
	if !ok {
		return
	}
	for key, text := range secret.StringData {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		secret.Data[key] = []byte(text)
	}
	secret.StringData = nil
}

// named is a store whose kind has a short name for kubectl.
type named struct {
	*registry.Store
	short string
}

func (n named) ShortNames() []string {
	if n.short == "" {
		return nil
	}
	return []string{n.short}
}

// onlyStatus offers get and update of a store, and none of its verbs for collections.
type onlyStatus struct{ store *registry.Store }

func (o onlyStatus) New() runtime.Object { return o.store.New() }
func (o onlyStatus) Destroy()            {}

func (o onlyStatus) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return o.store.Get(ctx, name, options)
}

func (o onlyStatus) Update(
	ctx context.Context, name string, info rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return o.store.Update(ctx, name, info, create, update, false, options)
}
