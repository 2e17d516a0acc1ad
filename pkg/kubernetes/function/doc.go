// Package function lets a function know its data: it writes a golden, its
// digest and where it is mounted into the pod template of a manifest or of a
// live object, as annotations, a volume and a mount, and reads them back.
// What else is in the manifest stays as it is, comments too.
//
// It must not import Ceph, CSI or a backend.
package function
