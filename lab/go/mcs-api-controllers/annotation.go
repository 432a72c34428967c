// Package controllers stands in for sigs.k8s.io/mcs-api/controllers, a module that
// the Go module proxy does not serve. Cilium's multi-cluster code, which the lab never
// runs, imports one constant of it.
package controllers

// DerivedServiceAnnotation names the service derived from a ServiceImport (KEP-1645).
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
