package main

import (
	"fmt"
	"testing"
	"time"

	"comet/gateway/web/browsertest"
	"comet/internal/testenv"
)

// chatScreens are the screens on which the docs show the chat.
var chatScreens = []browsertest.Screen{
	{Name: "light", Width: 1100, Height: 720},
	{Name: "dark", Width: 1100, Height: 720, Dark: true},
	{Name: "phone", Width: 360, Height: 720},
}

// TestChatPictures makes the pictures of the chat: see `make screenshots`.
func TestChatPictures(t *testing.T) {
	testenv.Large(t)
	w := newChatWorld(t, 3, time.Hour)
	people := []*chatter{newChatter(t, "Ada", w.front(0)), newChatter(t, "Grace", w.front(1)), newChatter(t, "Linus", w.front(2))}
	ada, grace, linus := people[0], people[1], people[2]
	ada.awaitPeople("Ada", "Grace", "Linus")
	w.publish("chat/lobby", "Maintenance of node-2 tonight at ten. Nobody will notice.", "--type", "motd")
	grace.say("Good morning! Is the new release out?")
	ada.awaitText("Is the new release out?")
	ada.say("It is, since nine :rocket: Notes: https://example.com/releases/7")
	linus.awaitText("since nine")
	linus.say("Lovely. Did anybody have to reconnect?")
	grace.awaitText("reconnect?")
	grace.say("My node went away in the middle of a sentence.\nI noticed by the name of the node here, not by anything missing.")
	ada.awaitText("anything missing")
	ada.say("So not one message lost?")
	linus.awaitText("So not one")
	linus.say("Not one :tada:")
	grace.open("@Ada")
	grace.say("Lunch at one?")
	grace.open("lobby")
	ada.awaitText("Not one 🎉")
	linus.open("random")
	linus.say("Has anybody seen my coffee?")
	linus.open("lobby")
	for i, s := range chatScreens {
		ada.b.Show(s)
		grace.typeOnly(fmt.Sprint("I have ", i))
		ada.await(`document.querySelector('#typing').textContent !== '' && document.querySelector('.live .seen .avatar') && 
			document.querySelectorAll('#directs .unread:not([hidden])').length === 1 && document.getAnimations().length === 0`)
		ada.b.WantFit(s)
		ada.b.Picture("chat-" + s.Name)
	}
}
