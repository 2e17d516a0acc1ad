package ceph

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1

const _ = 1
