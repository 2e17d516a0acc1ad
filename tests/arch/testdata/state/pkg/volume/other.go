package volume

func other() {
	level = 3
	level := 4
	level = 5
	func() { level++ }()
}
