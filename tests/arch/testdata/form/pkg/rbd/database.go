package rbd
